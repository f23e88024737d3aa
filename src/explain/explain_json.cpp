// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/explain_json.hpp"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "hairpind/core/rfc3339.hpp"
#include "hairpind/explain/ladder.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;

Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

Json peer(const ToldPeer& peer) {
  Json json{{"ip", peer.ip}, {"port", peer.port ? Json(*peer.port) : Json(nullptr)}, {"pod", text_or_null(peer.pod)}};
  if (!peer.kind.empty()) {
    json["kind"] = peer.kind;
  }
  return json;
}

Json optional_peer(const std::optional<ToldPeer>& told) {
  return told ? peer(*told) : Json(nullptr);
}

Json load_balancer(const ToldLoadBalancer& told) {
  return {{"ip", told.at.ip},
          {"port", told.at.port ? Json(*told.at.port) : Json(nullptr)},
          {"service", text_or_null(told.service)},
          {"hostname", text_or_null(told.hostname)},
          {"origin", text_or_null(told.origin)}};
}

Json node(const ToldNode& node) {
  return {{"node", node.name},
          {"state", to_string(node.state)},
          {"attempts", node.attempts},
          {"since", to_rfc3339(node.since)},
          {"last", to_rfc3339(node.last)},
          {"said", text_or_null(node.said)}};
}

Json problem(const ToldProblem& problem, const ClusterState& state) {
  Json json{{"load_balancer", load_balancer(problem.load_balancer)},
            {"state", to_string(problem.state)},
            {"causes", problem.causes},
            {"attempts", problem.attempts},
            {"since", to_rfc3339(problem.since)},
            {"last", to_rfc3339(problem.last)},
            {"clients", problem.clients},
            {"nodes", Json::array()},
            {"changes", Json::array()},
            {"hint", text_or_null(problem.hint)},
            {"runbook", text_or_null(problem.runbook)},
            {"incidents", Json::array()}};
  for (const ToldNode& told : problem.nodes) {
    json["nodes"].push_back(node(told));
  }
  for (const ToldChange& change : problem.changes) {
    json["changes"].push_back({{"time", to_rfc3339(change.time)}, {"node", change.node}, {"what", change.what}});
  }
  for (const std::size_t incident : problem.incidents) {
    json["incidents"].push_back(state.incidents[incident].alert.incident);
  }
  return json;
}

Json step(const Step& step) {
  return {{"time", step.time ? Json(to_rfc3339(*step.time)) : Json(nullptr)},
          {"offset_us", step.offset ? Json(std::chrono::duration_cast<std::chrono::microseconds>(*step.offset).count())
                                    : Json(nullptr)},
          {"from", step.from},
          {"to", step.to},
          {"packet", step.label},
          {"where", text_or_null(step.where)},
          {"meaning", step.meaning},
          {"should_be", text_or_null(step.instead)}};
}

Json ladder(const Ladder& ladder) {
  Json json{{"captured", ladder.captured},
            {"participants", Json::array()},
            {"happened", Json::array()},
            {"expected", Json::array()}};
  for (const Participant& participant : ladder.participants) {
    json["participants"].push_back({{"role", participant.role},
                                    {"name", text_or_null(participant.name)},
                                    {"address", text_or_null(participant.address)}});
  }
  for (const Step& one : ladder.steps) {
    json["happened"].push_back(step(one));
  }
  for (const Step& one : ladder.expected) {
    json["expected"].push_back({{"from", one.from}, {"to", one.to}, {"packet", one.label}, {"meaning", one.meaning}});
  }
  return json;
}

Json incident(const ToldIncident& told) {
  const ToldAlert& alert = told.alert;
  return {{"incident", alert.incident},
          {"node", alert.node},
          {"severity", text_or_null(alert.severity)},
          {"cause", text_or_null(alert.cause)},
          {"attempts", told.attempts},
          {"since", to_rfc3339(told.since)},
          {"last", to_rfc3339(told.last)},
          {"client", peer(alert.client)},
          {"load_balancer", load_balancer(alert.load_balancer)},
          {"responder", optional_peer(alert.responder)},
          {"backend", optional_peer(alert.backend)},
          {"outcome",
           {{"state", text_or_null(alert.outcome)},
            {"drop_reason", text_or_null(alert.drop_reason)},
            {"drop_location", text_or_null(alert.drop_location)}}},
          {"message", alert.message},
          {"hint", alert.hint},
          {"ladder", ladder(ladder_of(told))}};
}

}  // namespace

std::string explain_json(const ClusterState& state, std::string_view incident_id) {
  const auto wanted = [&](std::size_t number) {
    return incident_id.empty() || state.incidents[number].alert.incident == incident_id;
  };
  Json json{{"schema", "hairpind.explain/v1"}, {"as_of", to_rfc3339(state.as_of)}, {"lines", state.lines},
            {"alerts", state.alerts},          {"passed_over", state.passed_over}, {"notes", state.notes},
            {"problems", Json::array()},       {"incidents", Json::array()}};
  for (const ToldProblem& told : state.problems) {
    if (std::ranges::any_of(told.incidents, wanted)) {
      json["problems"].push_back(problem(told, state));
    }
    for (const std::size_t number : told.incidents) {
      if (wanted(number)) {
        json["incidents"].push_back(incident(state.incidents[number]));
      }
    }
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hairpind
