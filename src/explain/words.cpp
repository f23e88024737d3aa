// SPDX-License-Identifier: Apache-2.0
#include "words.hpp"
#include "hairpind/core/rfc3339.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace hairpind {

std::string_view cause_words(std::string_view cause) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kWords = {{
      {"hairpin_ip_target", "the load balancer sent the SYN back to a pod of the client's own node"},
      {"hairpin_node_port", "the load balancer sent the SYN to a node port of the client's own node"},
      {"hairpin_host_target", "the load balancer sent the SYN to a server on the client's own node"},
      {"hairpin_martian", "the SYN came back with the receiver's own address as source, which the kernel refuses"},
      {"hairpin_rp_filter", "strict reverse path filtering refused the SYN that came back"},
      {"asymmetric_remote", "a target on another node answered past the load balancer"},
      {"unsolicited_synack", "a target answered a SYN that the client never sent"},
  }};
  const auto* const found = std::ranges::find(kWords, cause, &std::pair<std::string_view, std::string_view>::first);
  return found == kWords.end() ? std::string_view{} : found->second;
}

std::string outcome_words(const ToldAlert& alert) {
  if (alert.outcome == "reset_by_client") {
    return "the client's kernel, or its node's, answered with RST; the connection could not complete";
  }
  if (alert.outcome == "dropped") {
    std::string text = "the kernel dropped the packet";
    text += alert.drop_reason.empty() ? "" : " (" + alert.drop_reason + ")";
    text += alert.drop_location.empty() ? "" : " in " + alert.drop_location;
    return text + "; the connection could not complete";
  }
  if (alert.outcome == "completed") {
    return "a later SYN of the same attempt got through: delayed, not lost";
  }
  return alert.outcome.empty() ? "" : "what became of it was not seen";
}

std::string_view state_words(ToldState state) {
  switch (state) {
    case ToldState::kActive:
      return "failing now";
    case ToldState::kDormant:
      return "quiet since target or client have left the node; it comes back with the next such placement";
    case ToldState::kQuiet:
      return "no line tells of it since; that is no proof that it is fixed";
    case ToldState::kExposed:
      return "nothing has failed yet: client and target share a node";
    case ToldState::kFixed:
      return "proven to work again";
  }
  return {};
}

std::string short_time(WallTime time) {
  std::string text = to_rfc3339(time);
  text[10] = ' ';
  return text.substr(0, 19) + "Z";
}

std::string counted(std::size_t number, std::string_view what) {
  return std::to_string(number) + " " + std::string(what) + (number == 1 ? "" : "s");
}

std::string listed(const std::vector<std::string>& names, std::size_t most) {
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most); i++) {
    text += (i == 0 ? "" : ", ") + names[i];
  }
  return names.size() > most ? text + " and " + std::to_string(names.size() - most) + " more" : text;
}

std::string named(const std::string& name, const std::string& address) {
  return name.empty() ? address : name + " (" + address + ")";
}

}  // namespace hairpind
