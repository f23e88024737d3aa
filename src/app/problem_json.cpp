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
  Reader(const Json& json, bool same_boot, WallTime::duration boot_to_wall)
      : json_(json), same_boot_(same_boot), boot_to_wall_(boot_to_wall) {}

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
  [[nodiscard]] SinceBoot since_boot(const char* key) const { return wall(key).time_since_epoch() - boot_to_wall_; }
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
  [[nodiscard]] Reader at(const char* key) const { return {json_.at(key), same_boot_, boot_to_wall_}; }
  [[nodiscard]] Reader of(const Json& json) const { return {json, same_boot_, boot_to_wall_}; }
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
  WallTime::duration boot_to_wall_;
};

class Writer {
 public:
  explicit Writer(WallTime::duration boot_to_wall) : boot_to_wall_(boot_to_wall) {}

  void endpoint(const char* key, const Endpoint& endpoint) {
    if (!endpoint.empty()) {
      json[key] = {{"ip", endpoint.address.to_string()}, {"port", endpoint.port}};
    }
  }
  void since_boot(const char* key, SinceBoot time) { json[key] = (time + boot_to_wall_).count(); }
  void since_boot(const char* key, const std::optional<SinceBoot>& time) {
    if (time) {
      since_boot(key, *time);
    }
  }
  template <typename T>
  void enumerator(const char* key, const std::optional<T>& value) {
    if (value) {
      json[key] = static_cast<std::uint64_t>(*value);
    }
  }
  [[nodiscard]] Writer another() const { return Writer(boot_to_wall_); }

  Json json = Json::object();

 private:
  WallTime::duration boot_to_wall_;
};

Json write(const ProblemRecord& record, Writer writer) {
  writer.json = {{"mismatched", record.mismatched},
                 {"answered", record.answered},
                 {"reopenings", record.reopenings},
                 {"interruptions", record.interruptions},
                 {"share_mismatched", record.share_mismatched},
                 {"share_attempts", record.share_attempts},
                 {"spared", record.spared},
                 {"run", record.run},
                 {"same_node_answers", record.same_node_answers}};
  writer.enumerator("state", std::optional(record.state));
  writer.enumerator("told", record.told);
  writer.enumerator("proof", record.proof);
  writer.since_boot("opened", record.opened);
  writer.since_boot("last_mismatch", record.last_mismatch);
  writer.since_boot("target_gone", record.target_gone);
  writer.since_boot("clients_gone", record.clients_gone);
  return std::move(writer.json);
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
Json write(const IncidentCount& incident, Writer writer) {
  const Attempt& example = incident.example;
  writer.json = {{"count", incident.count},
                 {"isn", example.isn},
                 {"syn_ifindex", example.syn_ifindex},
                 {"synack_ifindex", example.synack_ifindex},
                 {"synack_ack", example.synack_ack},
                 {"host_client", example.host_client},
                 {"learned", example.learned},
                 {"syn_dropped", example.syn_dropped},
                 {"drop_reason", example.drop_reason}};
  writer.since_boot("last_event", incident.last_event);
  writer.since_boot("first_syn", example.first_syn);
  if (example.synack_seen()) {
    writer.since_boot("synack", example.synack);
  }
  writer.endpoint("client", example.client);
  writer.endpoint("load_balancer", example.load_balancer);
  writer.endpoint("returned", example.returned);
  writer.endpoint("synack_sent", example.synack_sent);
  writer.endpoint("synack_delivered", example.synack_delivered);
  writer.endpoint("responder", example.responder);
  writer.enumerator("conntrack", std::optional(example.conntrack));
  writer.enumerator("conntrack_source", std::optional(example.conntrack_source));
  writer.enumerator("cause", std::optional(example.cause));
  writer.enumerator("outcome", std::optional(example.outcome));
  writer.enumerator("responder_kind", std::optional(example.responder_kind));
  return std::move(writer.json);
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

Json write(const KeptProblem& problem, Writer writer) {
  writer.json = {{"problem", write(problem.problem, writer.another())}, {"placement", write(problem.placement)}};
  writer.endpoint("load_balancer", problem.load_balancer);
  if (problem.newest) {
    writer.json["newest"] = write(*problem.newest, writer.another());
  }
  writer.json["last_mismatch"] = Json::array();
  for (const auto& [cause, time] : problem.last_mismatch) {
    writer.json["last_mismatch"].push_back({{"cause", cause}, {"time", time.time_since_epoch().count()}});
  }
  if (problem.last_answered) {
    writer.json["last_answered"] = problem.last_answered->time_since_epoch().count();
  }
  return std::move(writer.json);
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
  Json json{{"schema", kSchema}, {"boot", since.boot}, {"problems", Json::array()}};
  for (const KeptProblem& problem : problems) {
    json["problems"].push_back(write(problem, Writer(since.boot_to_wall)));
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
    std::vector<KeptProblem> problems;
    for (const Json& problem : json.at("problems")) {
      problems.push_back(read_problem(Reader(problem, same_boot, since.boot_to_wall)));
    }
    return problems;
  } catch (const std::exception& exception) {
    return fail(exception.what());
  }
}

}  // namespace hairpind
