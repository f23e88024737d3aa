// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "hairpind/core/kubernetes.hpp"

namespace hairpind::providers {

/// The value, which lives as long as the Service.
std::optional<std::string_view> annotation(const Service& service, std::string_view key);

/// The ports of one protocol ("TCP", "UDP"), in the manifest's order.
std::vector<std::uint16_t> ports_of(const Service& service, std::string_view protocol);
bool has_port(const Service& service, std::string_view protocol);

/// Only addresses with ipMode VIP, which kube-proxy, or what replaces it, translates on the client's node (KEP-1860).
bool publishes_only_virtual_ips(const Service& service);

/// Without blanks at both ends.
std::string_view trimmed(std::string_view text);
/// The parts between separators, trimmed; one empty part of an empty text.
std::vector<std::string_view> split(std::string_view text, char separator);

}  // namespace hairpind::providers
