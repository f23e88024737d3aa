// SPDX-License-Identifier: Apache-2.0
// The agent over time: signals, devices that come and go, alert files that fill up. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "agent_process.hpp"
#include "lab_test.hpp"
#include "tc_programs.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

const std::string kFromPods = "hairpind_interfaces_attached{hook=\"from_pod\",mode=\"tcx\"}";

class LifecycleTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (!IsSkipped()) {
      lab().set_mode("ip-target");
    }
  }

  static std::unique_ptr<AgentProcess> start_agent(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--lb", "10.0.5.5:443", "--handshake-timeout", "1"});
    auto agent = std::make_unique<AgentProcess>(lab(), more);
    EXPECT_TRUE(agent->wait_until_ready());
    return agent;
  }

  static void fail_connections(int count, const std::string& pod = "p1") {
    lab().inside(pod, [&] { const PendingConnections connections("10.0.5.5", 443, count); });
  }

  static double mismatches(const AgentProcess& agent) { return agent.metric_sum("hairpind_mismatches_total"); }

  // Programs on both TC hooks of a device of the node.
  static std::size_t programs_on(const std::string& device) {
    return tcx_programs(lab(), device, TcHook::kIngress).size() + tcx_programs(lab(), device, TcHook::kEgress).size();
  }
};

TEST_F(LifecycleTest, SigtermDetachesEverythingAndExitsZero) {
  const auto agent = start_agent();
  for (const char* const device : {"veth1", "veth2", "eth0"}) {
    EXPECT_EQ(programs_on(device), 2) << device;
  }
  agent->send_signal(SIGTERM);
  EXPECT_EQ(agent->wait_for_exit(), 0) << agent->standard_error();
  for (const char* const device : {"veth1", "veth2", "eth0"}) {
    EXPECT_EQ(programs_on(device), 0) << device;
  }
}

TEST_F(LifecycleTest, SigkillLeavesNothingBehindAndTheNextStartWorks) {
  lab().set_mode("lb-snat");
  {
    const auto agent = start_agent();
    agent->send_signal(SIGKILL);
    EXPECT_EQ(agent->wait_for_exit(), 128 + SIGKILL);
  }
  EXPECT_TRUE(eventually([&] { return programs_on("veth1") == 0; }));
  int complete = 0;
  lab().inside("p1", [&] { complete = complete_requests("10.0.5.5", 443, 10); });
  EXPECT_EQ(complete, 10);
  lab().set_mode("ip-target");
  const auto agent = start_agent();
  EXPECT_EQ(programs_on("veth1"), 2);
  fail_connections(3);
  EXPECT_TRUE(eventually([&] { return mismatches(*agent) == 3; }));
}

TEST_F(LifecycleTest, SighupReopensTheAlertFile) {
  const auto agent = start_agent();
  fail_connections(1);
  ASSERT_TRUE(eventually([&] { return agent->alerts().size() == 1; }));
  const std::string rotated = agent->alerts_path() + ".1";
  std::filesystem::rename(agent->alerts_path(), rotated);
  agent->send_signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(agent->alerts_path()); }));
  // Another pair, hence a first alert: p2 is client and target of itself.
  fail_connections(1, "p2");
  EXPECT_TRUE(eventually([&] { return agent->alerts().size() == 1; }));
  EXPECT_THAT(read_file(rotated), ::testing::HasSubstr("10.0.1.10"));
  EXPECT_THAT(read_file(rotated), ::testing::Not(::testing::HasSubstr("\"client\":{\"ip\":\"10.0.1.20\"")));
}

TEST_F(LifecycleTest, AlertsGoToStdoutAndTheLogDoesNot) {
  const auto agent = start_agent({"--alerts", "-", "--log-format", "json"});
  fail_connections(1);
  ASSERT_TRUE(eventually([&] { return agent->standard_output().ends_with("\n"); }));
  EXPECT_THAT(agent->standard_output(), ::testing::StartsWith("{\"schema\":\"hairpind.alert/v1\""));
  EXPECT_THAT(agent->standard_error(), ::testing::Not(::testing::HasSubstr("hairpind.alert")));
  std::istringstream log(agent->standard_error());
  for (std::string line; std::getline(log, line);) {
    EXPECT_FALSE(nlohmann::json::parse(line, nullptr, false).is_discarded()) << line;
  }
}

TEST_F(LifecycleTest, RepeatsAreThrottledAndCarryTheExactCount) {
  const auto agent = start_agent({"--repeat-interval", "2"});
  fail_connections(5);
  ASSERT_TRUE(eventually([&] { return agent->alerts().size() == 1; }));
  // Much faster than the interval; the count goes on without a line of its own for each.
  for (int i = 0; i < 20; i++) {
    fail_connections(5);
  }
  ASSERT_TRUE(eventually([&] {
    const auto alerts = agent->alerts();
    return alerts.size() > 1 && alerts.back()["count"] == 105;
  }));
  const auto alerts = agent->alerts();
  EXPECT_LE(alerts.size(), 4);
  for (std::size_t i = 1; i < alerts.size(); i++) {
    EXPECT_EQ(alerts[i]["event"], "asymmetric_handshake_repeated");
    EXPECT_EQ(alerts[i]["incident"], alerts[0]["incident"]);
    EXPECT_GT(alerts[i]["count"], alerts[i - 1]["count"]);
  }
  EXPECT_EQ(mismatches(*agent), 105);
  EXPECT_EQ(agent->metric("hairpind_alerts_total{event=\"asymmetric_handshake_repeated\"}"),
            static_cast<double>(alerts.size() - 1));
}

TEST_F(LifecycleTest, AStoppedAgentLosesNoCount) {
  const auto agent = start_agent();
  agent->send_signal(SIGSTOP);
  for (int i = 0; i < 10; i++) {
    fail_connections(50);
  }
  agent->send_signal(SIGCONT);
  EXPECT_TRUE(eventually([&] { return mismatches(*agent) == 500; }));
  ASSERT_TRUE(eventually([&] { return !agent->alerts().empty(); }));
  EXPECT_EQ(agent->alerts()[0]["count"], 500);
}

TEST_F(LifecycleTest, FollowsPodsThatComeAndGo) {
  const auto agent = start_agent();
  EXPECT_EQ(agent->metric(kFromPods), 2);
  const std::string pod = lab().namespace_name("p4");
  ASSERT_EQ(run_command({"ip", "netns", "add", pod}), 0);
  lab().ip("node", {"link", "add", "veth4", "type", "veth", "peer", "name", "eth0", "netns", pod});
  EXPECT_TRUE(eventually([&] { return agent->metric(kFromPods) == 3; }));
  lab().ip("node", {"link", "set", "veth4", "up"});
  lab().ip("node", {"addr", "add", "169.254.1.1/32", "dev", "veth4"});
  lab().ip("node", {"route", "add", "10.0.1.40", "dev", "veth4"});
  lab().ip("p4", {"link", "set", "eth0", "up"});
  lab().ip("p4", {"addr", "add", "10.0.1.40/32", "dev", "eth0"});
  lab().ip("p4", {"route", "add", "169.254.1.1", "dev", "eth0"});
  lab().ip("p4", {"route", "add", "default", "via", "169.254.1.1"});
  fail_connections(4, "p4");
  EXPECT_TRUE(eventually([&] { return mismatches(*agent) == 4; }));
  ASSERT_TRUE(eventually([&] { return agent->alerts().size() == 1; }));
  EXPECT_EQ(agent->alerts()[0]["client"]["ip"], "10.0.1.40");
  EXPECT_EQ(run_command({"ip", "netns", "del", pod}), 0);
  EXPECT_TRUE(eventually([&] { return agent->metric(kFromPods) == 2; }));
  EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0) << agent->standard_error();
}

TEST_F(LifecycleTest, DevicesThatVanishWhileAttachingAreNoFailure) {
  const auto agent = start_agent();
  for (int i = 0; i < 50; i++) {
    lab().ip("node",
             {"link", "add", "gone0", "type", "veth", "peer", "name", "gone1", "netns", lab().namespace_name("p3")});
    lab().ip("node", {"link", "del", "gone0"});
  }
  EXPECT_TRUE(eventually([&] { return agent->metric(kFromPods) == 2; }));
  EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0) << agent->standard_error();
  fail_connections(2);
  EXPECT_TRUE(eventually([&] { return mismatches(*agent) == 2; }));
}

TEST_F(LifecycleTest, AGlobThatMatchesNothingWarnsAndWaits) {
  const auto agent = start_agent({"--pod-interface", "later*"});
  EXPECT_THAT(agent->standard_error(), ::testing::HasSubstr("no interface matches 'later*'"));
  EXPECT_EQ(agent->metric(kFromPods), 0);
  lab().ip("node", {"link", "add", "later0", "type", "veth", "peer", "name", "other0"});
  EXPECT_TRUE(eventually([&] { return agent->metric(kFromPods) == 1; }));
  lab().ip("node", {"link", "del", "later0"});
  EXPECT_TRUE(eventually([&] { return agent->metric(kFromPods) == 0; }));
}

TEST_F(LifecycleTest, AFullDiskKeepsAlertsUntilThereIsRoom) {
  const std::string directory = "/tmp/hairpind-full-" + std::to_string(getpid());
  std::filesystem::create_directory(directory);
  ASSERT_EQ(mount("hairpind-test", directory.c_str(), "tmpfs", 0, "size=16k"), 0);
  {
    const auto agent = start_agent({"--alerts", directory + "/alerts.jsonl"});
    {
      std::ofstream filler(directory + "/filler");
      filler << std::string(65536, 'x') << std::flush;
    }
    fail_connections(3);
    EXPECT_TRUE(eventually([&] {
      return agent->standard_error().find("No space left on device") != std::string::npos;
    })) << agent->standard_error();
    EXPECT_EQ(read_file(directory + "/alerts.jsonl"), "") << "no torn line";
    EXPECT_EQ(agent->get("/healthz").first, 200);
    std::filesystem::remove(directory + "/filler");
    EXPECT_TRUE(eventually([&] { return read_file(directory + "/alerts.jsonl").ends_with("}\n"); }));
    EXPECT_THAT(agent->standard_error(), ::testing::HasSubstr("takes alerts again"));
    EXPECT_EQ(mismatches(*agent), 3);
  }
  EXPECT_EQ(umount(directory.c_str()), 0);
  std::filesystem::remove(directory);
}

TEST_F(LifecycleTest, AnswersProbesAndRefusesOtherPaths) {
  const auto agent = start_agent();
  EXPECT_EQ(agent->get("/healthz"), (std::pair<int, std::string>{200, "ok\n"}));
  EXPECT_EQ(agent->get("/readyz"), (std::pair<int, std::string>{200, "ready\n"}));
  EXPECT_EQ(agent->get("/").first, 404);
  agent->send_signal(SIGSTOP);
  agent->send_signal(SIGCONT);
  EXPECT_TRUE(eventually([&] { return agent->get("/healthz").first == 200; }));
}

TEST_F(LifecycleTest, MetricsPassPromtool) {
  const auto agent = start_agent();
  fail_connections(1);
  ASSERT_TRUE(eventually([&] { return mismatches(*agent) == 1; }));
  const std::string page = agent->directory() + "/metrics.txt";
  std::ofstream(page) << agent->get("/metrics").second;
  EXPECT_EQ(run_command({"sh", "-c", "promtool check metrics < " + page}), 0) << read_file(page);
}

}  // namespace
}  // namespace hairpind::testing
