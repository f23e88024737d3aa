// SPDX-License-Identifier: Apache-2.0
#include "aws_nlb.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

Judgement assess_classic(const Service& service, const ClusterFacts& /*facts*/) {
  return {.risk = Risk::kSafe,
          .reason = published(service) + ", a classic load balancer's: a full proxy with an address of its own"};
}

}  // namespace

constinit const Provider kAwsClassic{
    .name = "AWS Classic Load Balancer", .link = kAwsTroubleshootingLink, .assess = assess_classic};

}  // namespace hairpind::providers
