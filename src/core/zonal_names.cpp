// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/zonal_names.hpp"

#include <algorithm>
#include <cctype>

namespace hairpind {
namespace {

// No region has more zones; us-east-1 has all of these.
constexpr std::string_view kLetters = "abcdef";
// RFC 1035, 2.3.4, without the dot at the end.
constexpr std::size_t kLongestName = 253;

bool is_region(std::string_view label) {
  return label.contains('-') && std::isdigit(static_cast<unsigned char>(label.back())) != 0;
}

/// The label in front of the first dot, which goes with it; all there is where there is no dot.
std::string_view take_label(std::string_view& rest) {
  const std::string_view label = rest.substr(0, rest.find('.'));
  rest.remove_prefix(std::min(label.size() + 1, rest.size()));
  return label;
}

}  // namespace

std::vector<std::string> zonal_names(std::string_view host) {
  std::string lower(host);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string_view rest = lower;
  const std::string_view name = take_label(rest);
  const std::string_view elb = take_label(rest);
  const std::string_view region = take_label(rest);
  if (name.empty() || elb != "elb" || !is_region(region) || (rest != "amazonaws.com" && rest != "amazonaws.com.cn")) {
    return {};
  }
  std::vector<std::string> names;
  for (const char letter : kLetters) {
    names.push_back(std::string(region) + letter + "." + lower);
  }
  std::erase_if(names, [](const std::string& each) { return each.size() > kLongestName; });
  return names;
}

}  // namespace hairpind
