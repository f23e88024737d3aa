// SPDX-License-Identifier: Apache-2.0
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

/// Clouds of which it is known whose load balancer it is, but not, from the Service, what kind.
template <const Provider& provider>
Judgement assess_unsettled(const Service& service, const ClusterFacts& /*facts*/) {
  return {.risk = Risk::kUnknown,
          .reason = published(service) + ", and the Service does not say whether the load balancer of " +
                    std::string(provider.name) + " keeps the client's address"};
}

constexpr std::string_view kOctaviaProxyProtocol = "loadbalancer.openstack.org/proxy-protocol";

/// Octavia's amphora provider is a proxy and the only one that speaks the PROXY protocol; OVN's keeps the address.
/// Which it is stands in the cloud's configuration.
Judgement assess_open_stack(const Service& service, const ClusterFacts& facts) {
  const auto proxy_protocol = annotation(service, kOctaviaProxyProtocol);
  if (proxy_protocol && proxy_protocol != "false") {
    return {.risk = Risk::kSafe,
            .reason = published(service) + ", and " + quoted(kOctaviaProxyProtocol, *proxy_protocol) +
                      " needs Octavia's amphora provider, a full proxy with an address of its own"};
  }
  return assess_unsettled<kOpenStack>(service, facts);
}

}  // namespace

constinit const Provider kAlibaba{.name = "Alibaba Cloud",
                                  .link = "https://www.alibabacloud.com/help/en/slb/network-load-balancer/nlb-faq",
                                  .assess = assess_unsettled<kAlibaba>};

constinit const Provider kOpenStack{
    .name = "OpenStack Octavia",
    .link = "https://docs.openstack.org/octavia/latest/user/feature-classification/index.html",
    .assess = assess_open_stack};

constinit const Provider kUpCloud{
    .name = "UpCloud",
    .link = "https://upcloud.com/docs/guides/expose-services-upcloud-load-balancer-https/",
    .assess = assess_unsettled<kUpCloud>};

}  // namespace hairpind::providers
