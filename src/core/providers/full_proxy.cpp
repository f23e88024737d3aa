// SPDX-License-Identifier: Apache-2.0
#include "service_facts.hpp"
#include "text.hpp"

namespace hairpind::providers {
namespace {

/// A load balancer that ends the client's connection and opens one of its own: the target sees its address.
template <const Provider& provider>
Judgement assess_full_proxy(const Service& service, const ClusterFacts& /*facts*/) {
  return {.risk = Risk::kSafe,
          .reason = published(service) + ", and a load balancer of " + std::string(provider.name) +
                    " is a full proxy with an address of its own"};
}

constexpr std::string_view kDoType = "service.beta.kubernetes.io/do-loadbalancer-type";

/// DigitalOcean has both: the regional one is a proxy, the regional network one "preserves client source IP addresses
/// automatically" and is the default since 1.33.1-do.0. Only the proxy speaks the PROXY protocol, HTTP and TLS.
bool is_proxy_by_its_settings(const Service& service) {
  const auto protocol = annotation(service, "service.beta.kubernetes.io/do-loadbalancer-protocol");
  return annotation(service, "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol") == "true" ||
         (protocol && protocol != "tcp" && protocol != "udp") ||
         annotation(service, "service.beta.kubernetes.io/do-loadbalancer-certificate-id").has_value() ||
         annotation(service, "service.beta.kubernetes.io/do-loadbalancer-tls-ports").has_value();
}

Judgement assess_digital_ocean(const Service& service, const ClusterFacts& facts) {
  const auto type = annotation(service, kDoType);
  const std::string proxy = quoted(kDoType, "REGIONAL") +
                            " (a full proxy: the target then sees the load balancer's address; "
                            "service.beta.kubernetes.io/do-loadbalancer-enable-proxy-protocol: \"true\" keeps the "
                            "client's if the target speaks it). The type of a load balancer that is there is not "
                            "changed: make a new one";
  if (type == "REGIONAL_NETWORK") {
    return {
        .risk = Risk::kAtRisk,
        .reason = published(service) + ", and " + quoted(kDoType, "REGIONAL_NETWORK") + " keeps the client's address",
        .change = proxy};
  }
  if (type == "REGIONAL" || (!type && is_proxy_by_its_settings(service))) {
    return assess_full_proxy<kDigitalOcean>(service, facts);
  }
  return {.risk = Risk::kUnknown,
          .reason = published(service) + ", and " + std::string(kDoType) +
                    (type ? " has a value that is not known" : " is not set") +
                    ": since Kubernetes 1.33 the default is REGIONAL_NETWORK, which keeps the client's address, before "
                    "it was REGIONAL, a full proxy",
          .change = proxy};
}

}  // namespace

constinit const Provider kDigitalOcean{
    .name = "DigitalOcean",
    .link = "https://docs.digitalocean.com/products/kubernetes/how-to/configure-load-balancers/",
    .assess = assess_digital_ocean};

// Its addresses have ipMode Proxy where the PROXY protocol is on, since the proxy must not be left out.
constinit const Provider kHetzner{
    .name = "Hetzner Cloud",
    .link = "https://github.com/hetznercloud/hcloud-cloud-controller-manager/releases/tag/v1.21.0",
    .assess = assess_full_proxy<kHetzner>};

// "the backend server receives only the Load Balancer's IP address"
constinit const Provider kScaleway{
    .name = "Scaleway",
    .link = "https://www.scaleway.com/en/docs/configure-proxy-protocol-with-a-load-balancer",
    .assess = assess_full_proxy<kScaleway>};

// "the originating IP address becomes the NodeBalancer's private IP address"
constinit const Provider kAkamai{
    .name = "Akamai (Linode)",
    .link = "https://techdocs.akamai.com/cloud-computing/docs/clients-ip-address-pass-through",
    .assess = assess_full_proxy<kAkamai>};

constinit const Provider kVultr{
    .name = "Vultr",
    .link =
        "https://docs.vultr.com/support/products/vke/"
        "how-do-i-enable-proxy-protocol-when-my-vultr-load-balancer-sends-requests-to-the-nginx-ingress-controller",
    .assess = assess_full_proxy<kVultr>};

// Its network load balancer, which is none, is in oci.cpp.
constinit const Provider kOciProxy{
    .name = "Oracle Cloud",
    .link = "https://docs.oracle.com/en-us/iaas/Content/Balance/Concepts/balanceoverview.htm",
    .assess = assess_full_proxy<kOciProxy>};

}  // namespace hairpind::providers
