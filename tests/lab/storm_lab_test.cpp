// SPDX-License-Identifier: Apache-2.0
// Counts under fire: exact to the unit where everything fails, nothing at all where everything works. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent_process.hpp"
#include "lab_test.hpp"
#include "syn_storm.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kClients = 500;

// How many, a multiple of 2000: HAIRPIND_STORM, for machines that are emulated (tests/vm/).
std::uint32_t storm_size() {
  const char* const wanted = std::getenv("HAIRPIND_STORM");
  return wanted == nullptr ? 200'000 : static_cast<std::uint32_t>(std::stoul(wanted));
}
const std::uint32_t kMismatches = storm_size();
const std::uint32_t kEach = kMismatches / kClients;
constexpr auto kRepeatInterval = 5s;

class StormTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    lab().set_mode("ip-target-stateless");
    // From two threads, so that several CPUs handle attempts at once.
    for (const std::uint32_t first : {1U, 1 + kClients / 2}) {
      storms.push_back(std::make_unique<SynStorm>(lab(), first, kClients / 2));
    }
  }

  void refuse(std::uint32_t attempts) {
    std::vector<std::jthread> threads;
    threads.reserve(storms.size());
    for (const auto& storm : storms) {
      threads.emplace_back([&storm, attempts] { EXPECT_TRUE(storm->run(attempts / 2)) << "no answers any more"; });
    }
  }

  [[nodiscard]] std::uint64_t retransmits() const { return storms[0]->retransmits() + storms[1]->retransmits(); }

  void start_agent(std::vector<std::string> more = {}) {
    // An attempt that is lost on the way is repeated long before it would be settled without its responder.
    more.insert(more.end(), {"--lb", "10.0.5.5:443", "--handshake-timeout", "60", "--repeat-interval", "5"});
    started = std::chrono::steady_clock::now();
    agent = std::make_unique<AgentProcess>(lab(), more);
    ASSERT_TRUE(agent->wait_until_ready());
    memory_before = agent->resident_kib();
  }

  void stop_agent() const {
    agent->send_signal(SIGSTOP);
    ASSERT_TRUE(eventually([&] {
      const std::string status = read_file("/proc/" + std::to_string(agent->pid()) + "/status");
      return status.find("State:\tT") != std::string::npos;
    }));
  }

  // By incident, as its newest alert has it. Without the check against the schema, which is for the end.
  [[nodiscard]] std::map<std::string, std::uint32_t> newest_counts() const {
    std::map<std::string, std::uint32_t> counts;
    std::istringstream lines(read_file(agent->alerts_path()));
    for (std::string line; std::getline(lines, line);) {
      const Json alert = Json::parse(line, nullptr, false);
      if (!alert.is_discarded()) {
        counts[alert["incident"]] = alert["count"];
      }
    }
    return counts;
  }

  void expect_exact() const {
    EXPECT_EQ(agent->metric("hairpind_mismatches_total{lb=\"10.0.5.5:443\",cause=\"hairpin_ip_target\"}"), kMismatches);
    EXPECT_EQ(agent->metric_sum("hairpind_mismatches_total"), kMismatches);
    EXPECT_EQ(agent->metric("hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"mismatched\"}"), kMismatches);
    EXPECT_EQ(agent->metric_sum("hairpind_handshakes_total"), kMismatches);
    EXPECT_EQ(agent->metric("hairpind_syns_total{lb=\"10.0.5.5:443\"}"), kMismatches);
    EXPECT_EQ(agent->metric("hairpind_syn_retransmits_total{lb=\"10.0.5.5:443\"}"), retransmits());
    for (const char* const reason : {"pending_full", "incidents_full", "load_balancers_full", "record_invalid"}) {
      EXPECT_EQ(agent->metric("hairpind_events_lost_total{reason=\"" + std::string(reason) + "\"}"), 0) << reason;
    }
    EXPECT_EQ(agent->metric("hairpind_spoofed_sources_total"), 0);

    const auto all_exact = [](const std::map<std::string, std::uint32_t>& counts) {
      return counts.size() == kClients &&
             std::ranges::all_of(counts, [](const auto& entry) { return entry.second == kEach; });
    };
    EXPECT_TRUE(eventually([&] { return all_exact(newest_counts()); })) << ::testing::PrintToString(newest_counts());

    std::map<std::string, int> alerts;
    std::map<std::string, int> clients;
    for (const Json& alert : agent->alerts()) {
      const bool first = alerts[alert["incident"]]++ == 0;
      EXPECT_EQ(alert["event"], first ? "asymmetric_handshake" : "asymmetric_handshake_repeated");
      EXPECT_EQ(alert["responder"]["ip"], "10.0.1.20");
      clients[alert["client"]["ip"]]++;
    }
    EXPECT_EQ(clients.size(), kClients);
    const auto intervals = (std::chrono::steady_clock::now() - started) / kRepeatInterval;
    for (const auto& [incident, count] : alerts) {
      EXPECT_LE(count, 2 + intervals) << incident;
    }
    EXPECT_LE(agent->resident_kib(), memory_before + 16 * std::uint64_t{1024});
  }

  std::vector<std::unique_ptr<SynStorm>> storms;
  std::unique_ptr<AgentProcess> agent;
  std::chrono::steady_clock::time_point started;
  std::uint64_t memory_before = 0;
};

TEST_F(StormTest, IsCountedExactly) {
  start_agent();
  refuse(kMismatches);
  expect_exact();
}

TEST_F(StormTest, IsCountedExactlyWithTheAgentStoppedInTheMiddle) {
  start_agent();
  refuse(kMismatches / 4);
  stop_agent();
  const auto until = std::chrono::steady_clock::now() + 5s;
  refuse(kMismatches / 2);
  std::this_thread::sleep_until(until);
  agent->send_signal(SIGCONT);
  refuse(kMismatches / 4);
  expect_exact();
}

TEST_F(StormTest, IsCountedExactlyWithRoomForFewEvents) {
  start_agent({"--ring-bytes", "4096"});
  // Each client's first sighting is offered to the ring, which has room for fourteen: with nobody there to read, the
  // rest is lost, and must be counted as lost.
  stop_agent();
  refuse(kClients);
  agent->send_signal(SIGCONT);
  refuse(kMismatches - kClients);
  EXPECT_GE(agent->metric("hairpind_events_lost_total{reason=\"ring_full\"}"), kClients - 14);
  expect_exact();
}

// --- beside a flood ------------------------------------------------------------------------------------------

class FloodTest : public LabTest {
 protected:
  static constexpr const char* kNowhere = "10.0.5.77";

  // p2 floods while p1 is what this is about. As many attempts wait as the table has places, and more.
  void start() {
    lab().set_mode("ip-target");
    agent = std::make_unique<AgentProcess>(
        lab(), std::vector<std::string>{"--lb", "10.0.5.5:443", "--lb", std::string(kNowhere) + ":443",
                                        "--pending-syns", "8192"});
    ASSERT_TRUE(agent->wait_until_ready());
    flood = std::make_unique<SynFlood>(lab(), "p2", "10.0.1.20", kNowhere, 30'000);
    ASSERT_TRUE(eventually([&] { return evicted() > 8192; }));
  }
  void connect(std::unique_ptr<PendingConnections>& connections, int count) const {
    lab().inside("p1", [&] { connections = std::make_unique<PendingConnections>("10.0.5.5", 443, count); });
  }
  [[nodiscard]] double evicted() const {
    return agent->metric("hairpind_events_lost_total{reason=\"undecided_evicted\"}");
  }
  // Each of the flood has been settled, or is counted as given up.
  void expect_all_accounted_for() {
    flood.reset();
    EXPECT_TRUE(eventually([&] { return agent->metric("hairpind_pending_syns") == 0; }));
    EXPECT_TRUE(eventually([&] {
      return agent->metric_sum("hairpind_syns_total") == agent->metric_sum("hairpind_handshakes_total") + evicted();
    })) << agent->metric_sum("hairpind_syns_total")
        << " attempts, " << agent->metric_sum("hairpind_handshakes_total") << " settled, " << evicted() << " given up";
    EXPECT_TRUE(agent->logs("interface veth2 has the most of them")) << agent->standard_error();
  }

  std::unique_ptr<AgentProcess> agent;
  std::unique_ptr<SynFlood> flood;
};

TEST_F(FloodTest, AnotherPodsHairpinIsToldAtOnce) {
  start();
  std::unique_ptr<PendingConnections> connections;
  connect(connections, 20);
  // The settle time is three seconds, and a retransmit a second away: this is neither.
  EXPECT_TRUE(eventually([&] { return !agent->alerts().empty(); }, 2s));
  EXPECT_TRUE(eventually(
      [&] { return agent->metric("hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"mismatched\"}") == 20; }));
  const std::vector<Json> alerts = agent->alerts();
  ASSERT_FALSE(alerts.empty());
  EXPECT_EQ(alerts[0]["client"]["ip"], "10.0.1.10");
  EXPECT_EQ(alerts[0]["responder"]["ip"], "10.0.1.20");
  connections.reset();
  expect_all_accounted_for();
}

TEST_F(FloodTest, SoIsOneThatOnlyTimeDecides) {
  start();
  // The target's answers are lost inside it.
  lab().ip("p2", {"route", "add", "blackhole", "10.0.1.10"});
  std::unique_ptr<PendingConnections> connections;
  connect(connections, 20);
  EXPECT_TRUE(eventually([&] {
    return agent->metric("hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"mismatched\"}") == 20;
  })) << agent->metric("hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=\"mismatched\"}")
      << " of 20";
  EXPECT_TRUE(eventually([&] { return !agent->alerts().empty(); }));
  lab().ip("p2", {"route", "del", "blackhole", "10.0.1.10"});
  connections.reset();
  expect_all_accounted_for();
}

// --- what works ---------------------------------------------------------------------------------------------

class HealthyLoadTest : public LabTest {};

struct Load {
  const char* mode;
  const char* client;
  const char* address;
  int port;
};

constexpr Load kLoads[] = {
    {"node-dnat", "p1", "10.0.5.5", 443},       {"cluster-ip", "p1", "fd00:96::1", 443},
    {"lb-snat", "p1", "10.0.5.5", 443},         {"remote-target", "p1", "fd00:5::5", 443},
    {"policy-routed", "p1", "10.0.5.5", 443},   {"policy-routed", "p1", "fd00:5::5", 443},
    {"remote-target", "node", "10.0.5.5", 443}, {"ip-target", "p1", "10.0.1.20", 8443},
};
const int kEachLoad = static_cast<int>(kMismatches / 16);

TEST_F(HealthyLoadTest, RaisesNothing) {
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443", "--lb", "10.96.0.1:443", "--lb",
                             "[fd00:96::1]:443", "--handshake-timeout", "5"});
  ASSERT_TRUE(agent.wait_until_ready());
  int to_load_balancers = 0;
  for (const Load& load : kLoads) {
    SCOPED_TRACE(load.mode);
    lab().set_mode(load.mode);
    lab().inside(load.client,
                 [&] { EXPECT_EQ(complete_requests_at_once(load.address, load.port, kEachLoad, 64), kEachLoad); });
    to_load_balancers += load.port == 443 ? kEachLoad : 0;
  }
  // What is still open is settled as unanswered within the timeout.
  EXPECT_TRUE(eventually([&] { return agent.metric("hairpind_pending_syns") == 0; }));
  EXPECT_EQ(agent.metric_sum("hairpind_syns_total"), to_load_balancers);
  for (const char* const result : {"mismatched", "refused", "unanswered"}) {
    for (const char* const lb : {"10.0.5.5:443", "[fd00:5::5]:443", "[fd00:96::1]:443"}) {
      EXPECT_EQ(agent.metric("hairpind_handshakes_total{lb=\"" + std::string(lb) + "\",result=\"" + result + "\"}"), 0)
          << lb << " " << result;
    }
  }
  EXPECT_EQ(agent.metric_sum("hairpind_handshakes_total"), to_load_balancers) << "all answered";
  EXPECT_EQ(agent.metric_sum("hairpind_mismatches_total"), 0);
  EXPECT_EQ(agent.metric("hairpind_events_total"), 0) << "no event for a healthy connection";
  EXPECT_EQ(agent.metric_sum("hairpind_events_lost_total"), 0);
  EXPECT_THAT(agent.alerts(), ::testing::IsEmpty());
}

}  // namespace
}  // namespace hairpind::testing
