// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

const std::string do_prefix = "service.beta.kubernetes.io/do-loadbalancer-";

TEST(AssessFullProxy, HasAnAddressOfItsOwn) {
  const std::vector<std::pair<std::string, std::string>> clouds = {
      {"load-balancer.hetzner.cloud/location", "Hetzner Cloud"},
      {"service.beta.kubernetes.io/scw-loadbalancer-proxy-protocol-v2", "Scaleway"},
      {"service.beta.kubernetes.io/linode-loadbalancer-default-protocol", "Akamai (Linode)"},
      {"service.beta.kubernetes.io/vultr-loadbalancer-protocol", "Vultr"},
  };
  for (const auto& [key, name] : clouds) {
    for (const ServiceIngress& ingress : {proxy, other_name}) {
      const Assessment assessment = assess(service({{key, "x"}}, {ingress}));
      EXPECT_EQ(assessment.risk, Risk::kSafe) << name;
      EXPECT_THAT(assessment.reason, HasSubstr("a load balancer of " + name + " is a full proxy"));
      EXPECT_THAT(assessment.link, StartsWith("https://"));
    }
    // Whoever sees a handshake fail is not sent to AWS.
    EXPECT_THAT(hint_for(service({{key, "x"}}, {proxy})), Not(HasSubstr("AWS")));
    EXPECT_THAT(hint_for(service({{key, "x"}}, {proxy})), Not(HasSubstr("amazon")));
  }
}

TEST(AssessDigitalOcean, TheTypeDecides) {
  const auto digital_ocean = [](const Annotations& annotations) {
    Annotations prefixed{{"kubernetes.digitalocean.com/load-balancer-id", "1"}};
    for (const auto& [key, value] : annotations) {
      prefixed[do_prefix + key] = value;
    }
    return service(prefixed, {other_name});
  };
  expect({
      {"regional", digital_ocean({{"type", "REGIONAL"}}), Risk::kSafe, "DigitalOcean is a full proxy"},
      {"network", digital_ocean({{"type", "REGIONAL_NETWORK"}}), Risk::kAtRisk, "keeps the client's address"},
      {"not said", digital_ocean({}), Risk::kUnknown, "since Kubernetes 1.33 the default is REGIONAL_NETWORK"},
      {"of the future", digital_ocean({{"type", "GLOBAL"}}), Risk::kUnknown, "a value that is not known"},
      {"PROXY protocol", digital_ocean({{"enable-proxy-protocol", "true"}}), Risk::kSafe, "full proxy"},
      {"no PROXY protocol", digital_ocean({{"enable-proxy-protocol", "false"}}), Risk::kUnknown, "is not set"},
      {"HTTP", digital_ocean({{"protocol", "http"}}), Risk::kSafe, "full proxy"},
      {"TCP", digital_ocean({{"protocol", "tcp"}}), Risk::kUnknown, "is not set"},
      {"network, whatever else", digital_ocean({{"type", "REGIONAL_NETWORK"}, {"protocol", "http"}}), Risk::kAtRisk,
       "keeps"},
  });
  for (const Annotations& annotations : {Annotations{}, Annotations{{"type", "REGIONAL_NETWORK"}}}) {
    EXPECT_THAT(assess(digital_ocean(annotations)).fix, AllOf(HasSubstr("REGIONAL\""), Not(HasSubstr("AWS"))));
  }
}

}  // namespace
}  // namespace hairpind::providers
