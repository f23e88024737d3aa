// SPDX-License-Identifier: Apache-2.0
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

constexpr std::string_view kType = "networking.gke.io/load-balancer-type";
constexpr std::string_view kOldType = "cloud.google.com/load-balancer-type";
constexpr std::string_view kInternalClass = "networking.gke.io/l4-regional-internal";

bool is_internal(const Service& service) {
  if (!service.load_balancer_class.empty()) {
    return service.load_balancer_class == kInternalClass;
  }
  const auto type = annotation(service, kType);
  return (type ? type : annotation(service, kOldType)) == "Internal";
}

Judgement assess_gcp(const Service& service, const ClusterFacts& /*facts*/) {
  if (is_internal(service)) {
    return {.risk = Risk::kSafe,
            .reason =
                "an internal passthrough load balancer of Google Cloud: targets answer with the forwarding rule's "
                "address"};
  }
  return {.risk = Risk::kUnknown,
          .reason = published(service) +
                    ", and nothing says that it is an internal passthrough load balancer (class \"" +
                    value_words(service.load_balancer_class) + "\", " +
                    quoted(kType, annotation(service, kType).value_or("")) + ")"};
}

}  // namespace

constinit const Provider kGcp{
    .name = "Google Cloud", .link = "https://cloud.google.com/load-balancing/docs/internal", .assess = assess_gcp};

}  // namespace hairpind::providers
