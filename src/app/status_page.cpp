// SPDX-License-Identifier: Apache-2.0
#include "status_page.hpp"

#include <nlohmann/json.hpp>
#include <set>

#include "hairpind/core/rfc3339.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;

Json time_or_null(const std::optional<WallTime>& time) {
  return time ? Json(to_rfc3339(*time)) : Json(nullptr);
}

std::optional<WallTime> newest(const std::map<Cause, WallTime>& times) {
  std::optional<WallTime> newest;
  for (const auto& [cause, time] : times) {
    newest = newest ? std::max(*newest, time) : time;
  }
  return newest;
}

Json load_balancer(const LoadBalancerCounters& row, const Status& status) {
  Json json{{"lb", row.load_balancer.to_string()},
            {"service", nullptr},
            {"attempts", row.syns},
            {"answered", row.answered},
            {"mismatched", row.mismatched},
            {"refused", row.refused},
            {"unanswered", row.unanswered},
            {"same_node_answered", row.same_node_answered},
            {"state", nullptr},
            {"last_bad", nullptr},
            {"last_good", nullptr}};
  if (const auto named = status.named->services.find(row.load_balancer);
      named != status.named->services.end() && !named->second.empty()) {
    json["service"] = named->second;
  }
  if (const auto found = status.problems->find(row.load_balancer); found != status.problems->end()) {
    const ProblemStanding& standing = found->second;
    if (standing.state) {
      json["state"] = to_string(*standing.state);
    }
    json["last_bad"] = time_or_null(newest(standing.last_mismatch));
    json["last_good"] = time_or_null(standing.last_answered);
  }
  return json;
}

}  // namespace

std::string render_status(const Status& status, const KernelCounts* counts, const std::string& node, SinceBoot now,
                          WallTime wall) {
  Json json{{"schema", "hairpind.status/v1"},
            {"time", to_rfc3339(wall)},
            {"node", node},
            {"version", HAIRPIND_VERSION},
            {"healthy", is_healthy(status, now)},
            {"ready", is_ready(status, now)},
            {"kubernetes_synced", nullptr},
            {"pending", status.pending_syns},
            {"devices", *status.devices},
            {"load_balancers", Json::array()},
            {"other_attempts", 0},
            {"uncalled", Json::array()}};
  if (status.kubernetes_synced) {
    json["kubernetes_synced"] = *status.kubernetes_synced;
  }
  if (counts != nullptr) {
    std::set<Endpoint> told;
    for (const LoadBalancerCounters& row : counts->load_balancers) {
      if (row.load_balancer.empty()) {
        json["other_attempts"] = row.syns;
      } else {
        told.insert(row.load_balancer);
        json["load_balancers"].push_back(load_balancer(row, status));
      }
    }
    // What failed before the agent was restarted, and has not been called since.
    for (const auto& [problem, standing] : *status.problems) {
      if (told.insert(problem).second) {
        json["load_balancers"].push_back(load_balancer({.load_balancer = problem}, status));
      }
    }
    for (const Endpoint& listed : status.watched.listed) {
      if (!told.contains(listed)) {
        json["uncalled"].push_back(listed.to_string());
      }
    }
  }
  // Names of nodes and devices come from outside.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hairpind
