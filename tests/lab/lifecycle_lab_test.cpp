// SPDX-License-Identifier: Apache-2.0
// The agent over time: signals, devices that come and go, alert files that fill up. Needs root.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "agent_process.hpp"
#include "kernel.hpp"
#include "lab_test.hpp"
#include "tc_programs.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

const std::string kFromPods = "hairpind_interfaces_attached{hook=\"from_pod\",mode=\"" + attach_modes().front() + "\"}";

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
  static std::size_t programs_on(const std::string& device, const std::string& attach) {
    const auto programs = attach == "tcx" ? tcx_programs : clsact_programs;
    return programs(lab(), device, TcHook::kIngress).size() + programs(lab(), device, TcHook::kEgress).size();
  }
};

class AttachTest : public LifecycleTest, public ::testing::WithParamInterface<std::string> {
 protected:
  static double pods_attached(const AgentProcess& agent) {
    return agent.metric("hairpind_interfaces_attached{hook=\"from_pod\",mode=\"" + GetParam() + "\"}");
  }
  // Of hairpind's programs and of nobody else's.
  static void expect_on_devices(std::size_t tcx, std::size_t clsact) {
    for (const char* const device : {"veth1", "veth2", "eth0"}) {
      EXPECT_TRUE(eventually([&] { return programs_on(device, "tcx") == tcx; })) << device;
      EXPECT_EQ(programs_on(device, "clsact"), clsact) << device;
    }
  }
  static void expect_on_devices(const std::string& attach) {
    attach == "tcx" ? expect_on_devices(2, 0) : expect_on_devices(0, 2);
  }
};

INSTANTIATE_TEST_SUITE_P(Lab, AttachTest, ::testing::ValuesIn(attach_modes()),
                         [](const auto& test) { return test.param; });

TEST_P(AttachTest, SigtermDetachesEverythingAndExitsZero) {
  const auto agent = start_agent({"--attach", GetParam()});
  expect_on_devices(GetParam());
  EXPECT_EQ(pods_attached(*agent), 2);
  agent->send_signal(SIGTERM);
  EXPECT_EQ(agent->wait_for_exit(), 0) << agent->standard_error();
  expect_on_devices(0, 0);
}

// Whichever way the next one attaches, none counts twice and none stays behind.
TEST_P(AttachTest, AfterSigkillTrafficFlowsAndTheNextStartFindsWhatIsLeft) {
  for (const std::string& next : attach_modes()) {
    SCOPED_TRACE("then --attach " + next);
    lab().set_mode("lb-snat");
    {
      const auto agent = start_agent({"--attach", GetParam()});
      agent->send_signal(SIGKILL);
      EXPECT_EQ(agent->wait_for_exit(), 128 + SIGKILL);
    }
    expect_on_devices(0, GetParam() == "tcx" ? 0 : 2);
    int complete = 0;
    lab().inside("p1", [&] { complete = complete_requests("10.0.5.5", 443, 10); });
    EXPECT_EQ(complete, 10);
    lab().set_mode("ip-target");
    // veth2 is no longer among what is watched, and what was left on it is taken off all the same.
    const auto agent = start_agent({"--attach", next, "--pod-interface", "veth1"});
    EXPECT_EQ(programs_on("veth1", next), 2);
    EXPECT_EQ(programs_on("eth0", next), 2);
    EXPECT_EQ(programs_on("veth1", next == "tcx" ? "clsact" : "tcx"), 0);
    EXPECT_EQ(programs_on("veth2", "clsact"), 0);
    fail_connections(3);
    EXPECT_TRUE(eventually([&] { return mismatches(*agent) == 3; }));
    EXPECT_EQ(agent->metric("hairpind_syns_total{lb=\"10.0.5.5:443\"}"), 3);
    agent->send_signal(SIGTERM);
    EXPECT_EQ(agent->wait_for_exit(), 0) << agent->standard_error();
  }
}

// As a CNI that starts anew may do it.
TEST_F(LifecycleTest, FiltersThatSomebodyRemovesArePutBack) {
  const auto agent = start_agent({"--attach", "clsact"});
  const std::vector<std::vector<std::string>> removals{
      {"qdisc", "del", "dev", "veth1", "clsact"},
      {"filter", "del", "dev", "veth1", "ingress"},
      {"filter", "del", "dev", "veth1", "egress", "prio", "1"},
  };
  double failed = 0;
  for (const auto& removal : removals) {
    std::vector<std::string> command{"tc", "-n", lab().namespace_name("node")};
    command.insert(command.end(), removal.begin(), removal.end());
    ASSERT_EQ(run_command(command), 0);
    EXPECT_TRUE(eventually([&] { return programs_on("veth1", "clsact") == 2; })) << removal[1];
    fail_connections(2);
    failed += 2;
    EXPECT_TRUE(eventually([&] { return mismatches(*agent) == failed; }));
  }
  EXPECT_TRUE(agent->logs("interfaces veth1: somebody removed hairpind's filters")) << agent->standard_error();
  EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0);
}

/// Datagrams from one pod to another, one each 0.1 ms, while it lives.
class Datagrams {
 public:
  Datagrams(const NetworkLab& lab, const std::string& from, const std::string& to, const char* address) {
    const auto make = [] { return FileDescriptor(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)); };
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(9999);
    EXPECT_EQ(inet_pton(AF_INET, address, &peer.sin_addr), 1);
    lab.inside(to, [&] {
      constexpr int kBuffer = 64 << 20;
      receiver_ = make();
      EXPECT_EQ(setsockopt(receiver_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &kBuffer, sizeof(kBuffer)), 0);
      EXPECT_EQ(bind(receiver_.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)), 0);
    });
    lab.inside(from, [&] {
      sender_ = make();
      EXPECT_EQ(connect(sender_.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)), 0);
    });
    thread_ = std::jthread([this](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        sent_ += send(sender_.get(), "x", 1, 0) == 1 ? 1 : 0;
        std::this_thread::sleep_for(std::chrono::microseconds(100));
      }
    });
  }

  [[nodiscard]] int sent() const { return sent_; }
  /// Ends it.
  int lost() {
    thread_ = {};
    int received = 0;
    EXPECT_TRUE(eventually(
        [&] {
          char byte = 0;
          while (recv(receiver_.get(), &byte, 1, 0) == 1) {
            received++;
          }
          return received >= sent_;
        },
        std::chrono::seconds(2)));
    return sent_ - received;
  }

 private:
  FileDescriptor receiver_;
  FileDescriptor sender_;
  std::atomic<int> sent_ = 0;
  std::jthread thread_;
};

// As Cilium's agent does it whenever it makes a pod's programs anew.
TEST_F(LifecycleTest, FiltersThatGoAreBackInASecondAndNoPacketIsLost) {
  const auto agent = start_agent({"--attach", "clsact"});
  Datagrams out(lab(), "p1", "p2", "10.0.1.20");
  Datagrams in(lab(), "p2", "p1", "10.0.1.10");
  for (const char* const direction : {"ingress", "egress", "egress"}) {
    ASSERT_EQ(run_command({"tc", "-n", lab().namespace_name("node"), "filter", "del", "dev", "veth1", direction}), 0);
    const auto removed = std::chrono::steady_clock::now();
    EXPECT_TRUE(eventually([&] { return programs_on("veth1", "clsact") == 2; }));
    // One look a second, and a machine that does something else meanwhile.
    EXPECT_LT(std::chrono::steady_clock::now() - removed, std::chrono::seconds(3) * patience()) << direction;
  }
  EXPECT_GT(out.sent(), 1000);
  EXPECT_EQ(out.lost(), 0) << "of " << out.sent();
  EXPECT_EQ(in.lost(), 0) << "of " << in.sent();
}

// A filter of another kind has the first priority to itself; hairpind takes the next one, and leaves it in peace.
TEST_F(LifecycleTest, AForeignFilterOfAnotherKindStays) {
  const std::string node = lab().namespace_name("node");
  run_command({"tc", "-n", node, "qdisc", "del", "dev", "veth1", "clsact"});
  ASSERT_EQ(run_command({"tc", "-n", node, "qdisc", "add", "dev", "veth1", "clsact"}), 0);
  if (run_command(
          {"sh", "-c", "tc -n " + node + " filter add dev veth1 ingress prio 1 protocol ip u32 match u32 0 0"}) != 0) {
    GTEST_SKIP() << "no u32 filters (cls_u32) in this kernel";
  }
  {
    const auto agent = start_agent({"--attach", "clsact"});
    EXPECT_EQ(programs_on("veth1", "clsact"), 2);
    fail_connections(3);
    EXPECT_TRUE(eventually([&] { return mismatches(*agent) == 3; }));
    agent->send_signal(SIGTERM);
    EXPECT_EQ(agent->wait_for_exit(), 0) << agent->standard_error();
  }
  EXPECT_EQ(programs_on("veth1", "clsact"), 0);
  EXPECT_EQ(run_command({"sh", "-c", "tc -n " + node + " filter show dev veth1 ingress | grep -q u32"}), 0);
  EXPECT_EQ(run_command({"tc", "-n", node, "filter", "del", "dev", "veth1", "ingress"}), 0);
}

// The kernel would put filters for egress on ingress there.
TEST_F(LifecycleTest, ADeviceWithAnIngressQdiscIsAFailureThatIsSaid) {
  const std::string node = lab().namespace_name("node");
  run_command({"tc", "-n", node, "qdisc", "del", "dev", "veth1", "clsact"});
  ASSERT_EQ(run_command({"tc", "-n", node, "qdisc", "add", "dev", "veth1", "ingress"}), 0);
  const auto agent = start_agent({"--attach", "clsact"});
  EXPECT_TRUE(agent->logs("has the qdisc 'ingress' where clsact belongs")) << agent->standard_error();
  EXPECT_EQ(programs_on("veth1", "clsact"), 0);
  EXPECT_GE(agent->metric("hairpind_attach_failures_total"), 1);
  ASSERT_EQ(run_command({"tc", "-n", node, "qdisc", "del", "dev", "veth1", "ingress"}), 0);
  EXPECT_TRUE(eventually([&] { return programs_on("veth1", "clsact") == 2; }));
  EXPECT_TRUE(agent->logs("interface veth1: attached after all")) << agent->standard_error();
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
  EXPECT_THAT(agent->standard_output(), ::testing::StartsWith("{\"time\":"));
  EXPECT_THAT(agent->standard_output(), ::testing::HasSubstr("\"schema\":\"hairpind.alert/v1\""));
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

TEST_P(AttachTest, DevicesThatVanishMeanwhileAreNoFailure) {
  const auto agent = start_agent({"--attach", GetParam()});
  // What an older kernel lacks has been said by now.
  const std::size_t started = agent->standard_error().size();
  for (int i = 0; i < 50; i++) {
    lab().ip("node",
             {"link", "add", "gone0", "type", "veth", "peer", "name", "gone1", "netns", lab().namespace_name("p3")});
    lab().ip("node", {"link", "del", "gone0"});
  }
  EXPECT_TRUE(eventually([&] { return pods_attached(*agent) == 2; }));
  EXPECT_EQ(agent->metric("hairpind_attach_failures_total"), 0) << agent->standard_error();
  EXPECT_THAT(agent->standard_error().substr(started), ::testing::Not(::testing::HasSubstr("warning")))
      << "an end is no surprise";
  fail_connections(2);
  EXPECT_TRUE(eventually([&] { return mismatches(*agent) == 2; }));
}

TEST_F(LifecycleTest, AGlobThatMatchesNothingWarnsAndWaits) {
  const auto agent = start_agent({"--pod-interface", "later*"});
  EXPECT_TRUE(agent->logs("no interface matches 'later*'")) << agent->standard_error();
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
    EXPECT_TRUE(agent->logs("No space left on device")) << agent->standard_error();
    EXPECT_EQ(read_file(directory + "/alerts.jsonl"), "") << "no torn line";
    EXPECT_EQ(agent->get("/healthz").first, 200);
    std::filesystem::remove(directory + "/filler");
    EXPECT_TRUE(eventually([&] { return read_file(directory + "/alerts.jsonl").ends_with("}\n"); }));
    EXPECT_TRUE(agent->logs("takes alerts again")) << agent->standard_error();
    EXPECT_EQ(mismatches(*agent), 3);
  }
  EXPECT_EQ(umount(directory.c_str()), 0);
  std::filesystem::remove(directory);
}

TEST_F(LifecycleTest, AnswersProbesAndRefusesOtherPaths) {
  const auto agent = start_agent();
  EXPECT_EQ(agent->get("/healthz"), (std::pair<int, std::string>{200, "ok\n"}));
  EXPECT_EQ(agent->get("/readyz"), (std::pair<int, std::string>{200, "ready\n"}));
  EXPECT_EQ(agent->get("/").first, 200);
  EXPECT_EQ(agent->get("/debug").first, 404);
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
