// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "provider.hpp"

namespace hairpind::providers {

std::string joined(const std::vector<std::string>& parts, std::string_view separator);

/// What somebody wrote, fit to be shown: printable, and cut.
std::string value_words(std::string_view value);

/// key: "value", as a person finds it in the manifest.
std::string quoted(std::string_view key, std::string_view value);

/// "TCP port 443", "UDP ports 53, 443".
std::string name_ports(std::string_view protocol, const std::vector<std::uint16_t>& ports);

/// What the status publishes, as the beginning of a reason.
std::string published(const Service& service);

/// The class and the type annotation where they have a value that says nothing here; empty if none has.
std::string strange_names(const Service& service);

/// What helps with every load balancer.
std::string alternative(const Service& service);

/// The hint of an alert: the judgement, what to change, what else helps, a page.
std::string hint(const Service& service, const Judgement& judgement, const Provider& provider);

}  // namespace hairpind::providers
