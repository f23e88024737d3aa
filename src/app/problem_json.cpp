// SPDX-License-Identifier: Apache-2.0
#include "problem_json.hpp"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <utility>

namespace hairpind {
namespace {

using Json = nlohmann::json;
constexpr std::string_view kSchema = "hairpind.problems/1";

// Throws std::exception on what is not as this build writes it.
class Reader {
 public:
  /// `shift` is nothing where both boots are one.
  Reader(const Json& json, bool same_boot, SinceBoot shift) : json_(json), same_boot_(same_boot), shift_(shift) {}

  template <typename T>
  [[nodiscard]] T get(const char* key) const {
    return json_.at(key).get<T>();
  }
  template <typename T>
  [[nodiscard]] T enumerator(const char* key, T last) const {
    return enumerator(json_.at(key), last);
  }
  template <typename T>
  [[nodiscard]] std::optional<T> optional_enumerator(const char* key, T last) const {
    return json_.contains(key) ? std::optional(enumerator(key, last)) : std::nullopt;
  }
  [[nodiscard]] WallTime wall(const char* key) const { return WallTime(WallTime::duration(get<std::int64_t>(key))); }
  [[nodiscard]] SinceBoot since_boot(const char* key) const { return SinceBoot(get<std::int64_t>(key)) + shift_; }
  [[nodiscard]] std::optional<SinceBoot> optional_since_boot(const char* key) const {
    return json_.contains(key) ? std::optional(since_boot(key)) : std::nullopt;
  }
  [[nodiscard]] Endpoint endpoint(const char* key) const {
    if (!json_.contains(key)) {
      return {};
    }
    const Json& endpoint = json_.at(key);
    return {.address = address(endpoint.at("ip").get<std::string>()), .port = endpoint.at("port").get<std::uint16_t>()};
  }
  [[nodiscard]] std::uint32_t ifindex(const char* key) const { return same_boot_ ? get<std::uint32_t>(key) : 0; }
  [[nodiscard]] Reader at(const char* key) const { return {json_.at(key), same_boot_, shift_}; }
  [[nodiscard]] Reader of(const Json& json) const { return {json, same_boot_, shift_}; }
  [[nodiscard]] const Json& json() const { return json_; }

  static IpAddress address(const std::string& text) {
    const auto parsed = IpAddress::parse(text);
    if (!parsed) {
      throw std::invalid_argument("'" + text + "' is no address");
    }
    return *parsed;
  }
  template <typename T>
  static T enumerator(const Json& json, T last) {
    const auto value = json.get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(last)) {
      throw std::invalid_argument(std::to_string(value) + " is no value of its kind");
    }
    return static_cast<T>(value);
  }

 private:
  const Json& json_;
  bool same_boot_;
  SinceBoot shift_;
};

void put(Json& json, const char* key, const Endpoint& endpoint) {
  if (!endpoint.empty()) {
    json[key] = {{"ip", endpoint.address.to_string()}, {"port", endpoint.port}};
  }
}

void put(Json& json, const char* key, const std::optional<SinceBoot>& time) {
  if (time) {
    json[key] = time->count();
  }
}

template <typename T>
void put_enumerator(Json& json, const char* key, const std::optional<T>& value) {
  if (value) {
    json[key] = static_cast<std::uint64_t>(*value);
  }
}

Json write(const ProblemRecord& record) {
  Json json{{"mismatched", record.mismatched},
            {"answered", record.answered},
            {"reopenings", record.reopenings},
            {"interruptions", record.interruptions},
            {"share_mismatched", record.share_mismatched},
            {"share_attempts", record.share_attempts},
            {"spared", record.spared},
            {"run", record.run},
            {"same_node_answers", record.same_node_answers}};
  put_enumerator(json, "state", std::optional(record.state));
  put_enumerator(json, "told", record.told);
  put_enumerator(json, "proof", record.proof);
  put(json, "opened", record.opened);
  put(json, "last_mismatch", record.last_mismatch);
  put(json, "target_gone", record.target_gone);
  put(json, "clients_gone", record.clients_gone);
  return json;
}

ProblemRecord read_record(const Reader& json) {
  return {.state = json.enumerator("state", ProblemState::kQuiet),
          .told = json.optional_enumerator("told", ProblemState::kQuiet),
          .proof = json.optional_enumerator("proof", FixProof::kStatistical),
          .opened = json.since_boot("opened"),
          .last_mismatch = json.since_boot("last_mismatch"),
          .mismatched = json.get<std::uint64_t>("mismatched"),
          .answered = json.get<std::uint64_t>("answered"),
          .reopenings = json.get<std::uint64_t>("reopenings"),
          .interruptions = json.get<std::uint64_t>("interruptions"),
          .share_mismatched = json.get<std::uint64_t>("share_mismatched"),
          .share_attempts = json.get<std::uint64_t>("share_attempts"),
          .spared = json.get<std::uint64_t>("spared"),
          .run = json.get<std::uint64_t>("run"),
          .same_node_answers = json.get<std::uint64_t>("same_node_answers"),
          .target_gone = json.optional_since_boot("target_gone"),
          .clients_gone = json.optional_since_boot("clients_gone")};
}

Json write(const PlacementRecord::Parties& parties) {
  Json list = Json::array();
  for (const auto& [address, party] : parties) {
    Json json{{"ip", address.to_string()}, {"ifindex", party.ifindex}, {"node", party.is_node}};
    if (party.pod) {
      json["pod"] = {
          {"namespace", party.pod->namespace_name}, {"name", party.pod->name}, {"workload", party.pod->workload}};
    }
    list.push_back(std::move(json));
  }
  return list;
}

PlacementRecord::Parties read_parties(const Reader& list) {
  PlacementRecord::Parties parties;
  for (const Json& element : list.json()) {
    const Reader json = list.of(element);
    PlacementRecord::Party party{
        .pod = std::nullopt, .ifindex = json.ifindex("ifindex"), .is_node = json.get<bool>("node")};
    if (element.contains("pod")) {
      const Reader pod = json.at("pod");
      party.pod = PodRef{.namespace_name = pod.get<std::string>("namespace"),
                         .name = pod.get<std::string>("name"),
                         .workload = pod.get<std::string>("workload")};
    }
    parties.emplace(Reader::address(json.get<std::string>("ip")), std::move(party));
  }
  return parties;
}

Json write(const PlacementRecord& record) {
  return {{"clients", write(record.clients)},
          {"targets", write(record.targets)},
          {"remote_target", record.remote_target},
          {"by_node_port", record.by_node_port},
          {"target_names", record.target_names}};
}

PlacementRecord read_placement(const Reader& json) {
  return {.clients = read_parties(json.at("clients")),
          .targets = read_parties(json.at("targets")),
          .remote_target = json.get<bool>("remote_target"),
          .by_node_port = json.get<bool>("by_node_port"),
          .target_names = json.get<std::vector<std::string>>("target_names")};
}

// What a program of Cilium's said of its drop, and that its packets are copied, end with the agent.
Json write(const IncidentCount& incident) {
  const Attempt& example = incident.example;
  Json json{{"count", incident.count},
            {"isn", example.isn},
            {"syn_ifindex", example.syn_ifindex},
            {"synack_ifindex", example.synack_ifindex},
            {"synack_ack", example.synack_ack},
            {"host_client", example.host_client},
            {"learned", example.learned},
            {"syn_dropped", example.syn_dropped},
            {"drop_reason", example.drop_reason}};
  put(json, "last_event", incident.last_event);
  put(json, "first_syn", example.first_syn);
  if (example.synack_seen()) {
    put(json, "synack", example.synack);
  }
  put(json, "client", example.client);
  put(json, "load_balancer", example.load_balancer);
  put(json, "returned", example.returned);
  put(json, "synack_sent", example.synack_sent);
  put(json, "synack_delivered", example.synack_delivered);
  put(json, "responder", example.responder);
  put_enumerator(json, "conntrack", std::optional(example.conntrack));
  put_enumerator(json, "conntrack_source", std::optional(example.conntrack_source));
  put_enumerator(json, "cause", std::optional(example.cause));
  put_enumerator(json, "outcome", std::optional(example.outcome));
  put_enumerator(json, "responder_kind", std::optional(example.responder_kind));
  return json;
}

IncidentCount read_incident(const Reader& json) {
  const Attempt example{.client = json.endpoint("client"),
                        .isn = json.get<std::uint32_t>("isn"),
                        .load_balancer = json.endpoint("load_balancer"),
                        .returned = json.endpoint("returned"),
                        .synack_sent = json.endpoint("synack_sent"),
                        .synack_delivered = json.endpoint("synack_delivered"),
                        .responder = json.endpoint("responder"),
                        .first_syn = json.since_boot("first_syn"),
                        .synack = json.optional_since_boot("synack").value_or(SinceBoot{}),
                        .syn_ifindex = json.ifindex("syn_ifindex"),
                        .synack_ifindex = json.ifindex("synack_ifindex"),
                        .synack_ack = json.get<std::uint32_t>("synack_ack"),
                        .host_client = json.get<bool>("host_client"),
                        .learned = json.get<bool>("learned"),
                        .captured = false,
                        .conntrack = json.enumerator("conntrack", Conntrack::kTranslated),
                        .conntrack_source = json.enumerator("conntrack_source", ConntrackSource::kCilium),
                        .cause = json.enumerator("cause", Cause::kUnsolicitedSynAck),
                        .outcome = json.enumerator("outcome", Outcome::kCompleted),
                        .drop_reason = json.get<std::uint32_t>("drop_reason"),
                        .syn_dropped = json.get<bool>("syn_dropped"),
                        .cilium_drop = std::nullopt,
                        .responder_kind = json.enumerator("responder_kind", ResponderKind::kRemote)};
  const IncidentKey key = IncidentKey::of(example);
  return {.key = key,
          .count = json.get<std::uint64_t>("count"),
          .last_event = json.since_boot("last_event"),
          .example = example};
}

Json write(const KeptProblem& problem) {
  Json json{
      {"problem", write(problem.problem)}, {"placement", write(problem.placement)}, {"last_mismatch", Json::array()}};
  put(json, "load_balancer", problem.load_balancer);
  if (problem.newest) {
    json["newest"] = write(*problem.newest);
  }
  for (const auto& [cause, time] : problem.last_mismatch) {
    json["last_mismatch"].push_back({{"cause", cause}, {"time", time.time_since_epoch().count()}});
  }
  if (problem.last_answered) {
    json["last_answered"] = problem.last_answered->time_since_epoch().count();
  }
  return json;
}

KeptProblem read_problem(const Reader& json) {
  KeptProblem problem{.load_balancer = json.endpoint("load_balancer"),
                      .problem = read_record(json.at("problem")),
                      .placement = read_placement(json.at("placement")),
                      .newest = std::nullopt,
                      .last_mismatch = {},
                      .last_answered = std::nullopt};
  if (json.json().contains("newest")) {
    problem.newest = read_incident(json.at("newest"));
  }
  for (const Json& element : json.json().at("last_mismatch")) {
    const Reader last = json.of(element);
    problem.last_mismatch[last.enumerator("cause", Cause::kUnsolicitedSynAck)] = last.wall("time");
  }
  if (json.json().contains("last_answered")) {
    problem.last_answered = json.wall("last_answered");
  }
  return problem;
}

}  // namespace

std::string problems_to_json(const std::vector<KeptProblem>& problems, const KeptSince& since) {
  Json json{{"schema", kSchema},
            {"boot", since.boot},
            {"boot_to_wall", since.boot_to_wall.count()},
            {"problems", Json::array()}};
  for (const KeptProblem& problem : problems) {
    json["problems"].push_back(write(problem));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<std::vector<KeptProblem>> problems_from_json(std::string_view text, const KeptSince& since) {
  try {
    const Json json = Json::parse(text);
    if (const auto schema = json.at("schema").get<std::string>(); schema != kSchema) {
      return fail("its schema is '" + schema + "', not '" + std::string(kSchema) + "'");
    }
    const bool same_boot = json.at("boot").get<std::string>() == since.boot;
    const SinceBoot shift =
        same_boot ? SinceBoot{} : SinceBoot(json.at("boot_to_wall").get<std::int64_t>()) - since.boot_to_wall;
    std::vector<KeptProblem> problems;
    for (const Json& problem : json.at("problems")) {
      problems.push_back(read_problem(Reader(problem, same_boot, shift)));
    }
    return problems;
  } catch (const std::exception& exception) {
    return fail(exception.what());
  }
}

}  // namespace hairpind
