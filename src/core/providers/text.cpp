// SPDX-License-Identifier: Apache-2.0
#include "text.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <ranges>

#include "aws_nlb.hpp"
#include "detection.hpp"
#include "hairpind/core/printable.hpp"
#include "service_facts.hpp"

namespace hairpind::providers {
namespace {

// A host name has 253 characters at the most.
constexpr std::size_t kLongestValue = 256;

// What the status may publish without flooding a reason.
constexpr std::size_t kMostAddresses = 8;

constexpr std::string_view kMissedTranslation =
    "the handshake that was seen says otherwise: look for a translation that the node missed (kube-proxy or what "
    "replaces it), or for a load balancer that this manifest does not describe";

/// An alert about a Service that ought to be safe means that the manifest does not tell the whole.
std::optional<std::string> change(const Service& service, const Judgement& judgement, const Provider& provider) {
  if (judgement.risk != Risk::kSafe) {
    return judgement.change;
  }
  if (nodes_translate(service, provider) || provider.doubt == nullptr) {
    return std::string(kMissedTranslation);
  }
  return provider.doubt(service);
}

}  // namespace

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string text;
  for (const std::string& part : parts) {
    text.append(text.empty() ? "" : separator).append(part);
  }
  return text;
}

std::string value_words(std::string_view value) {
  return printable(value, kLongestValue);
}

std::string quoted(std::string_view key, std::string_view value) {
  return std::string(key) + ": \"" + value_words(value) + "\"";
}

std::string name_ports(std::string_view protocol, const std::vector<std::uint16_t>& ports) {
  std::vector<std::string> numbers;
  std::ranges::transform(ports, std::back_inserter(numbers), [](std::uint16_t port) { return std::to_string(port); });
  return std::string(protocol) + (ports.size() == 1 ? " port " : " ports ") + joined(numbers, ", ");
}

std::string published(const Service& service) {
  std::vector<std::string> names;
  for (const ServiceIngress& ingress : service.ingress | std::views::take(kMostAddresses)) {
    names.push_back(ingress.hostname.empty() ? "address " + value_words(ingress.ip) + " with ipMode " +
                                                   (ingress.ip_mode.empty() ? "VIP" : value_words(ingress.ip_mode))
                                             : "host name " + value_words(ingress.hostname));
  }
  if (service.ingress.size() > kMostAddresses) {
    names.push_back("and " + std::to_string(service.ingress.size() - kMostAddresses) + " more");
  }
  return names.empty() ? "the status publishes no address yet" : "the status publishes " + joined(names, ", ");
}

std::string strange_names(const Service& service) {
  const UnknownNames unknown = unknown_names(service);
  const std::string type = quoted(kAwsType, annotation(service, kAwsType).value_or(""));
  std::vector<std::string> names;
  if (unknown.load_balancer_class) {
    names.push_back("loadBalancerClass \"" + value_words(service.load_balancer_class) + "\" is not known");
  }
  if (unknown.aws_type) {
    names.push_back(type + " is not a known type");
  }
  if (unknown.aws_type_beside_class) {
    names.push_back(type + " does not count beside a loadBalancerClass");
  }
  return joined(names, ", and ");
}

std::string alternative(const Service& service) {
  return "let clients inside the cluster use the ClusterIP Service (" + value_words(service.name) + "." +
         value_words(service.namespace_name) +
         ".svc) instead of the load balancer, or keep client and target on different nodes";
}

std::string hint(const Service& service, const Judgement& judgement, const Provider& provider) {
  std::string text = "Service " + value_words(service.full_name()) + ": " + judgement.reason + ". Remedy: ";
  if (const auto what = change(service, judgement, provider)) {
    text += *what + ". Or ";
  }
  text += alternative(service) + ". See ";
  // Of an unknown provider the page of the most frequent one, which says best what happens.
  const std::string_view page = provider.link.empty() ? kAwsTroubleshootingLink : provider.link;
  return text.append(judgement.link.value_or(page));
}

}  // namespace hairpind::providers
