// SPDX-License-Identifier: Apache-2.0
#include "service_facts.hpp"

#include <algorithm>
#include <string>

namespace hairpind::providers {

std::optional<std::string_view> annotation(const Service& service, std::string_view key) {
  const auto found = service.annotations.find(std::string(key));
  return found == service.annotations.end() ? std::nullopt : std::optional<std::string_view>(found->second);
}

std::vector<std::uint16_t> ports_of(const Service& service, std::string_view protocol) {
  std::vector<std::uint16_t> ports;
  for (const ServicePort& port : service.ports) {
    if (port.protocol == protocol) {
      ports.push_back(port.port);
    }
  }
  return ports;
}

bool has_port(const Service& service, std::string_view protocol) {
  return !ports_of(service, protocol).empty();
}

bool publishes_only_virtual_ips(const Service& service) {
  return !service.ingress.empty() && std::ranges::all_of(service.ingress, [](const ServiceIngress& ingress) {
    return !ingress.ip.empty() && ingress.hostname.empty() && (ingress.ip_mode.empty() || ingress.ip_mode == "VIP");
  });
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  std::size_t end = text.find(separator);
  for (; end != std::string_view::npos; end = text.find(separator)) {
    parts.push_back(trimmed(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  parts.push_back(trimmed(text));
  return parts;
}

}  // namespace hairpind::providers
