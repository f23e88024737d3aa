// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hairpind/explain/cluster_state.hpp"

namespace hairpind {

/// What a cause means, in one sentence; empty for one that is not known here.
std::string_view cause_words(std::string_view cause);
/// How an attempt ended: "the client's kernel answered with RST", with the drop's reason.
std::string outcome_words(const ToldAlert& alert);
/// What a state means for who reads.
std::string_view state_words(ToldState state);

/// "2026-11-24 02:43:12Z".
std::string short_time(WallTime time);
/// "3 nodes", "1 node".
std::string counted(std::size_t number, std::string_view what);
/// The first few, and how many more.
std::string listed(const std::vector<std::string>& names, std::size_t most);
/// A node's name for a client's or Service's: "shop/cart-1 (10.0.1.10:14482)", or the address alone.
std::string named(const std::string& name, const std::string& address);

}  // namespace hairpind
