// SPDX-License-Identifier: Apache-2.0
#include "aws_nlb.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

Judgement assess_unclaimed(const Service& service, const ClusterFacts& /*facts*/) {
  const std::string names = strange_names(service);
  return {.risk = Risk::kUnknown,
          .reason = published(service) + ", and " +
                    (names.empty() ? "neither a class nor an annotation says which load balancer it is" : names),
          .change = general_change(service)};
}

}  // namespace

constinit const Provider kUnclaimed{.name = "", .link = "", .assess = assess_unclaimed};

}  // namespace hairpind::providers
