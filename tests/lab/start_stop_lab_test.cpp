// SPDX-License-Identifier: Apache-2.0
// How the agent comes and goes, whatever the moment and whatever its peers do. Needs root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include "agent_process.hpp"
#include "lab_test.hpp"
#include "pod_interfaces.hpp"
#include "tc_programs.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr int kPods = 250;

class StartStopTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (!IsSkipped()) {
      lab().set_mode("ip-target");
    }
  }

  /// A kubeconfig for an API server that is not there: its threads cannot be ended while they connect.
  static std::string config_of_nobody() {
    std::string config = "/tmp/hairpind-kubeconfig-" + std::to_string(getpid());
    std::ofstream(config) << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                             "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
                             "clusters: [{name: k, cluster: {server: 'https://198.51.100.1:6443'}}]\n"
                             "users: [{name: u, user: {token: t}}]\n";
    return config;
  }

  /// When the agent logged the first line with `text`; nothing if it did not.
  static std::optional<std::chrono::system_clock::time_point> logged_at(const AgentProcess& agent,
                                                                        const std::string& text) {
    const std::string log = agent.standard_error();
    const std::size_t found = log.find(text);
    if (found == std::string::npos) {
      return std::nullopt;
    }
    std::tm parts{};
    const char* const rest =
        strptime(log.c_str() + log.rfind('\n', found) + 1, "%Y-%m-%dT%H:%M:%S.", &parts);  // npos + 1: the beginning
    return rest == nullptr ? std::nullopt
                           : std::optional(std::chrono::system_clock::from_time_t(timegm(&parts)) +
                                           std::chrono::milliseconds(std::atoi(rest)));
  }

  static std::size_t programs_on(const std::string& device) {
    std::size_t programs = 0;
    for (const TcHook hook : {TcHook::kIngress, TcHook::kEgress}) {
      programs += tcx_programs(lab(), device, hook).size() + clsact_programs(lab(), device, hook).size();
    }
    return programs;
  }
};

class StartStopAttachTest : public StartStopTest, public ::testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Lab, StartStopAttachTest, ::testing::Values("tcx", "clsact"),
                         [](const auto& test) { return test.param; });

// Signals are read between two devices: what it has not attached by then it never does.
TEST_F(StartStopTest, SigtermDuringTheStartIsNotPutOff) {
  add_pod_interfaces(lab(), 0, kPods);
  // By clsact it would be over before anybody could look.
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--attach", "tcx"});
  ASSERT_TRUE(eventually([&] { return agent.metric_sum("hairpind_interfaces_attached") > 0; }));
  EXPECT_NE(agent.get("/readyz").first, 200) << "ready means attached";
  const auto asked = std::chrono::system_clock::now();
  agent.send_signal(SIGTERM);
  EXPECT_EQ(agent.wait_for_exit(), 0) << agent.standard_error();
  // The device at hand takes 10 to 60 ms; all of them, seconds.
  const auto received = logged_at(agent, "received SIGTERM");
  ASSERT_TRUE(received.has_value()) << agent.standard_error();
  EXPECT_LT(*received - asked, 500ms * patience()) << agent.standard_error();
  EXPECT_THAT(agent.standard_error(), Not(HasSubstr("pod interfaces"))) << "it never was complete";
  EXPECT_THAT(agent.standard_error(), HasSubstr("detached from "));
  EXPECT_EQ(programs_on("veth1"), 0);
  EXPECT_EQ(programs_on("pod0"), 0);
  remove_pod_interfaces(lab(), 0, kPods);
}

// While it loads its programs it hears nothing; then it attaches none of them.
TEST_F(StartStopTest, AfterSigtermDuringTheStartNothingIsAttached) {
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443"});
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(agent.alerts_path()); }));
  agent.send_signal(SIGTERM);
  EXPECT_EQ(agent.wait_for_exit(), 0) << agent.standard_error();
  EXPECT_THAT(agent.standard_error(), HasSubstr("detached from 0 devices"));
  EXPECT_EQ(programs_on("veth1"), 0);
}

// Neither an API server nor a reader of the alerts is waited for before. The best of ten: a machine that does
// something else meanwhile is no fault of the agent's, and what it would wait for takes half a second each time.
TEST_P(StartStopAttachTest, TheProgramsAreOffATenthOfASecondAfterSigterm) {
  const std::string config = config_of_nobody();
  lab().ip("net", {"route", "add", "blackhole", "198.51.100.1"});
  auto best = std::chrono::system_clock::duration::max();
  for (int round = 0; round < 10 && best > 100ms * patience(); round++) {
    AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--attach", GetParam(), "--alerts", "/dev/full", "--kubeconfig",
                               config, "--node-name", "n1"});
    ASSERT_TRUE(agent.wait_until_ready());
    lab().inside("p1", [] { const PendingConnections connection("10.0.5.5", 443, 1); });
    ASSERT_TRUE(agent.logs("alerts are kept"));
    const auto asked = std::chrono::system_clock::now();
    agent.send_signal(SIGTERM);
    EXPECT_EQ(agent.wait_for_exit(), 0) << agent.standard_error();
    EXPECT_EQ(programs_on("veth1"), 0);
    const auto detached = logged_at(agent, "detached from 3 devices");
    ASSERT_TRUE(detached.has_value()) << agent.standard_error();
    best = std::min(best, *detached - asked);
  }
  EXPECT_LE(best, 100ms * patience());
  std::filesystem::remove(config);
  lab().ip("net", {"route", "del", "blackhole", "198.51.100.1"});
}

// Each attempt to connect takes five seconds of the library's own, in which nobody can call it off.
TEST_F(StartStopTest, AnApiServerThatIsNotThereHoldsNobodyUp) {
  const std::string config = config_of_nobody();
  lab().ip("net", {"route", "add", "blackhole", "198.51.100.1"});
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--kubeconfig", config, "--node-name", "n1"});
  ASSERT_TRUE(agent.wait_until_ready());
  std::filesystem::remove(config);
  const auto asked = std::chrono::steady_clock::now();
  agent.send_signal(SIGTERM);
  EXPECT_EQ(agent.wait_for_exit(), 0) << agent.standard_error();
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(4)) << agent.standard_error();
  EXPECT_EQ(programs_on("veth1"), 0);
  lab().ip("net", {"route", "del", "blackhole", "198.51.100.1"});
}

TEST_F(StartStopTest, WhatHasBeenSeenIsToldBeforeItLeaves) {
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  // Both are there when it wakes: the record in the ring, and the signal.
  agent.send_signal(SIGSTOP);
  lab().inside("p1", [] { const PendingConnections connection("10.0.5.5", 443, 1); });
  agent.send_signal(SIGTERM);
  agent.send_signal(SIGCONT);
  EXPECT_EQ(agent.wait_for_exit(), 0) << agent.standard_error();
  EXPECT_EQ(agent.alerts().size(), 1) << agent.standard_error();
}

TEST_F(StartStopTest, AlertsThatCannotBeWrittenAreALineInTheLog) {
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--alerts", "/dev/full"});
  ASSERT_TRUE(agent.wait_until_ready());
  lab().inside("p1", [] { const PendingConnections connection("10.0.5.5", 443, 1); });
  ASSERT_TRUE(agent.logs("alerts are kept"));
  EXPECT_EQ(agent.metric_sum("hairpind_alerts_total"), 0) << "nobody can read it";
  agent.send_signal(SIGTERM);
  EXPECT_EQ(agent.wait_for_exit(), 0);
  // The incident's, and its evidence if that had begun.
  EXPECT_THAT(agent.standard_error(), HasSubstr(" alerts are lost: the alert stream /dev/full does not take them"));
}

TEST_P(StartStopAttachTest, ASecondAgentIsRefused) {
  const AgentProcess first(lab(), {"--lb", "10.0.5.5:443", "--attach", GetParam()});
  ASSERT_TRUE(first.wait_until_ready());
  for (const std::string mode : {"tcx", "clsact"}) {
    AgentProcess second(lab(), {"--lb", "10.0.5.5:443", "--attach", mode, "--listen", "127.0.0.1:9478"});
    EXPECT_EQ(second.wait_for_exit(), 1);
    EXPECT_THAT(second.standard_error(), HasSubstr("another hairpind runs in this network namespace"));
  }
  EXPECT_EQ(programs_on("veth1"), 2);
  lab().inside("p1", [] { const PendingConnections connections("10.0.5.5", 443, 2); });
  EXPECT_TRUE(eventually([&] { return first.metric_sum("hairpind_mismatches_total") == 2; }));
}

// A rotation's SIGHUP may come at any time, and would end a process that is not listening yet.
TEST_F(StartStopTest, SignalsAreHeldBackBeforeAnythingIsOpened) {
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443"});
  const auto holds_back = [&] {
    const std::string status = read_file("/proc/" + std::to_string(agent.pid()) + "/status");
    const std::size_t line = status.find("SigBlk:");
    return line != std::string::npos &&
           (std::stoull(status.substr(line + 7), nullptr, 16) & (std::uint64_t{1} << (SIGHUP - 1))) != 0;
  };
  bool opened = false;
  while (!opened) {
    opened = std::filesystem::exists(agent.alerts_path());
    const bool blocked = holds_back();
    ASSERT_TRUE(blocked || !opened);
    if (blocked) {
      agent.send_signal(SIGHUP);
    }
  }
  EXPECT_TRUE(agent.wait_until_ready());
  EXPECT_TRUE(agent.logs("reopened the alert stream"));
}

}  // namespace
}  // namespace hairpind::testing
