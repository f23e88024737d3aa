// SPDX-License-Identifier: Apache-2.0
#include "detection.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "aws_nlb.hpp"
#include "service_facts.hpp"

namespace hairpind::providers {
namespace {

/// What says whose load balancer a Service's is: an annotation, or a class. One without a value fits any.
struct Evidence {
  std::string_view key_prefix;
  std::string_view value;
  const Provider& provider;
};

// By spec.loadBalancerClass, which binds a Service to one controller.
constexpr std::array kClassEvidence = {
    Evidence{"service.k8s.aws/nlb", "", kAwsController},
    Evidence{"eks.amazonaws.com/nlb", "", kAwsAutoMode},
    Evidence{"networking.gke.io/", "", kGcp},
    Evidence{"io.cilium/", "", kCilium},
};

// With "external" alone no controller of today takes a Service that has no class; but its webhook, on by default,
// gives new ones its class (service_utils.go of the controller, docs/guide/service/nlb.md).
constexpr std::array kAwsTypeEvidence = {
    Evidence{kAwsType, "external", kAwsController},
    Evidence{kAwsType, "nlb-ip", kAwsController},
    Evidence{kAwsType, "nlb", kAwsInTree},
};

constexpr std::array kAnnotationEvidence = {
    Evidence{"service.beta.kubernetes.io/azure-load-balancer-", "", kAzure},
    Evidence{"networking.gke.io/load-balancer-type", "", kGcp},
    Evidence{"cloud.google.com/load-balancer-type", "", kGcp},
    Evidence{"oci-network-load-balancer.oraclecloud.com/", "", kOci},
    Evidence{"kubernetes.io/elb.", "", kHuaweiCce},
    Evidence{"service.kubernetes.io/qcloud-loadbalancer-", "", kTencentTke},
    Evidence{"service.cloud.tencent.com/", "", kTencentTke},
    Evidence{"service.kubernetes.io/tke-existed-lbid", "", kTencentTke},
    Evidence{"service.beta.kubernetes.io/do-loadbalancer-", "", kDigitalOcean},
    Evidence{"kubernetes.digitalocean.com/load-balancer-id", "", kDigitalOcean},
    Evidence{"load-balancer.hetzner.cloud/", "", kHetzner},
    Evidence{"service.beta.kubernetes.io/scw-loadbalancer-", "", kScaleway},
    Evidence{"service.beta.kubernetes.io/linode-loadbalancer-", "", kAkamai},
    Evidence{"service.beta.kubernetes.io/vultr-loadbalancer-", "", kVultr},
    Evidence{"service.beta.kubernetes.io/alibaba-cloud-loadbalancer-", "", kAlibaba},
    Evidence{"loadbalancer.openstack.org/", "", kOpenStack},
    Evidence{"service.beta.kubernetes.io/upcloud-load-balancer-", "", kUpCloud},
    Evidence{"metallb.universe.tf/", "", kMetalLb},
    Evidence{"metallb.io/", "", kMetalLb},
    Evidence{"lbipam.cilium.io/", "", kCilium},
    Evidence{"io.cilium/", "", kCilium},
    Evidence{"kube-vip.io/", "", kKubeVip},
    Evidence{"oci.oraclecloud.com/load-balancer-type", "nlb", kOci},
    Evidence{"oci.oraclecloud.com/load-balancer-type", "lb", kOciProxy},
};

// All that the providers' rules read of annotations begins with one of these.
constexpr std::array<std::string_view, 18> kJudged{
    "cloud.google.com/load-balancer-type",
    "hairpind.dev/",
    "io.cilium/",
    "kube-vip.io/",
    "kubernetes.digitalocean.com/",
    "kubernetes.io/elb.",
    "lbipam.cilium.io/",
    "load-balancer.hetzner.cloud/",
    "loadbalancer.openstack.org/",
    "metallb.io/",
    "metallb.universe.tf/",
    "networking.gke.io/",
    "oci-network-load-balancer.oraclecloud.com/",
    "oci.oraclecloud.com/",
    "service.beta.kubernetes.io/",
    "service.cilium.io/",
    "service.cloud.tencent.com/",
    "service.kubernetes.io/",
};

constexpr bool begins_as_judged(std::string_view annotation) {
  return std::ranges::any_of(kJudged, [&](std::string_view prefix) { return annotation.starts_with(prefix); });
}

// Evidence that is not kept would never be seen in a cluster.
static_assert(std::ranges::all_of(kAwsTypeEvidence, begins_as_judged, &Evidence::key_prefix));
static_assert(std::ranges::all_of(kAnnotationEvidence, begins_as_judged, &Evidence::key_prefix));

/// "name.elb.region.amazonaws.com" is an NLB's, "name.region.elb.amazonaws.com" a classic load balancer's.
const Provider& provider_of_hostname(std::string_view hostname) {
  for (const std::string_view domain : {".amazonaws.com", ".amazonaws.com.cn"}) {
    if (!hostname.ends_with(domain)) {
      continue;
    }
    const auto labels = split(hostname.substr(0, hostname.size() - domain.size()), '.');
    if (labels.size() >= 3 && labels.back() == "elb") {
      return kAwsClassic;
    }
    if (labels.size() >= 3 && labels[labels.size() - 2] == "elb") {
      return kAwsNlb;
    }
  }
  return kUnclaimed;
}

const Provider& provider_of_status(const Service& service) {
  for (const ServiceIngress& ingress : service.ingress) {
    if (const Provider& provider = provider_of_hostname(ingress.hostname); &provider != &kUnclaimed) {
      return provider;
    }
  }
  return kUnclaimed;
}

const Provider& provider_of_class(const Service& service) {
  for (const Evidence& evidence : kClassEvidence) {
    if (service.load_balancer_class.starts_with(evidence.key_prefix)) {
      return evidence.provider;
    }
  }
  return kUnclaimed;
}

const Provider& provider_by(std::span<const Evidence> table, const Service& service) {
  for (const Evidence& evidence : table) {
    const auto found = service.annotations.lower_bound(std::string(evidence.key_prefix));
    if (found != service.annotations.end() && found->first.starts_with(evidence.key_prefix) &&
        (evidence.value.empty() || found->second == evidence.value)) {
      return evidence.provider;
    }
  }
  return kUnclaimed;
}

const Provider& provider_of_aws_type(const Service& service) {
  const Provider& provider = provider_by(kAwsTypeEvidence, service);
  // The cloud providers' service controller leaves a Service with a class to someone else (KEP-1959).
  return &provider == &kAwsInTree && !service.load_balancer_class.empty() ? kUnclaimed : provider;
}

const Provider& provider_of_annotations(const Service& service) {
  return provider_by(kAnnotationEvidence, service);
}

}  // namespace

bool reads(std::string_view annotation) {
  return begins_as_judged(annotation);
}

const Provider& provider_of(const Service& service) {
  for (const auto evidence : {provider_of_class, provider_of_aws_type, provider_of_status, provider_of_annotations}) {
    if (const Provider& provider = evidence(service); &provider != &kUnclaimed) {
      return provider;
    }
  }
  return kUnclaimed;
}

bool nodes_translate(const Service& service, const Provider& provider) {
  // kube-proxy leaves a Service with that label to another proxy (KEP-2447), of which nothing is known.
  return publishes_only_virtual_ips(service) && service.proxy_name.empty() &&
         (provider.leaves_the_node == nullptr || !provider.leaves_the_node(service));
}

UnknownNames unknown_names(const Service& service) {
  const auto type = annotation(service, kAwsType);
  const bool strange_type = type && &provider_of_aws_type(service) == &kUnclaimed;
  const bool beside_class = strange_type && &provider_by(kAwsTypeEvidence, service) != &kUnclaimed;
  return {.load_balancer_class = !service.load_balancer_class.empty() && &provider_of_class(service) == &kUnclaimed,
          .aws_type = strange_type && !beside_class,
          .aws_type_beside_class = beside_class};
}

}  // namespace hairpind::providers
