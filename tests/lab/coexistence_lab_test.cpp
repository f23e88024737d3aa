// SPDX-License-Identifier: Apache-2.0
// Beside another program on the same devices, which hands packets to pods past the rest of the stack: attached before
// or after it, restarted or killed next to it. Needs root.
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "agent_process.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "kernel.hpp"
#include "redirect_abi.h"
#include "tc_programs.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

struct Neighbour {
  const char* name;
  const char* datapath;
  bool hairpind_first;  ///< it attaches before its neighbour does
  const char* attach;   ///< hairpind's --attach
  int signal;           ///< how hairpind ends
};

void PrintTo(const Neighbour& test, std::ostream* out) {
  *out << test.name;
}

constexpr Neighbour kNeighbours[] = {
    {"clsact_filter_before_a_restart", "redirect", false, "tcx", SIGTERM},
    {"clsact_filter_before_a_kill", "redirect", false, "tcx", SIGKILL},
    {"clsact_filter_after_and_a_restart", "redirect", true, "tcx", SIGTERM},
    {"clsact_filter_after_and_a_kill", "redirect", true, "tcx", SIGKILL},
    {"tcx_link_before_a_restart", "redirect-tcx", false, "tcx", SIGTERM},
    {"tcx_link_before_a_kill", "redirect-tcx", false, "tcx", SIGKILL},
    {"tcx_link_after_and_a_restart", "redirect-tcx", true, "tcx", SIGTERM},
    {"tcx_link_after_and_a_kill", "redirect-tcx", true, "tcx", SIGKILL},
    // Not beside a TCX link that redirects: the kernel runs those first, and hairpind would see nothing.
    {"both_clsact_filter_before_a_restart", "redirect", false, "clsact", SIGTERM},
    {"both_clsact_filter_before_a_kill", "redirect", false, "clsact", SIGKILL},
    {"both_clsact_filter_after_and_a_restart", "redirect", true, "clsact", SIGTERM},
    {"both_clsact_filter_after_and_a_kill", "redirect", true, "clsact", SIGKILL},
};
// What the kernel can do of that.
std::vector<Neighbour> neighbours() {
  std::vector<Neighbour> all(std::begin(kNeighbours), std::end(kNeighbours));
  std::erase_if(all, [](const Neighbour& each) { return each.attach == std::string("tcx") && !kernel_has_tcx(); });
  return all;
}

// The neighbour's programs, and the devices they are on.
constexpr std::array<std::pair<const char*, const char*>, 3> kPrograms{
    {{"veth1", "rd_from_pod"}, {"veth2", "rd_from_pod"}, {"eth0", "rd_from_net"}}};
constexpr int kConnections = 10;

class CoexistenceTest : public ::testing::TestWithParam<Neighbour> {
 protected:
  void SetUp() override {
    auto& lab = labs()[GetParam().datapath];
    if (!lab) {
      lab = std::make_unique<NetworkLab>(GetParam().datapath);
    }
    lab_ = lab.get();
    if (!lab_->unavailable().empty()) {
      GTEST_SKIP() << lab_->unavailable();
    }
  }
  static void TearDownTestSuite() { labs().clear(); }

  void start_agent() {
    agent_ = std::make_unique<AgentProcess>(
        *lab_, std::vector<std::string>{"--lb", "10.0.5.5:443", "--attach", GetParam().attach});
    ASSERT_TRUE(agent_->wait_until_ready());
  }

  [[nodiscard]] std::uint64_t packets_of_neighbour(std::uint32_t side) const {
    const FileDescriptor map(bpf_obj_get((lab_->pins() + "/packets").c_str()));
    std::uint64_t count = 0;
    EXPECT_EQ(bpf_map_lookup_elem(map.get(), &side, &count), 0);
    return count;
  }

  // In the order in which they run: what TCX links hold comes before what clsact filters hold.
  [[nodiscard]] std::vector<std::uint32_t> programs(const std::string& device, TcHook hook) const {
    auto programs = tcx_programs(*lab_, device, hook);
    const auto filters = clsact_programs(*lab_, device, hook);
    programs.insert(programs.end(), filters.begin(), filters.end());
    return programs;
  }

  // The neighbour is there, once, and hairpind's own program `own` times.
  [[nodiscard]] bool in_order(const char* device, const char* program, std::size_t own) const {
    const std::uint32_t neighbour = pinned_program(lab_->pins() + "/" + program);
    const auto ingress = programs(device, TcHook::kIngress);
    return neighbour != 0 && ingress.size() == own + 1 && ingress.back() == neighbour &&
           programs(device, TcHook::kEgress).size() == own;
  }

  // Hairpind goes first, lest it see nothing. A clsact filter that comes later gets there before it, for a second.
  void expect_programs(std::size_t own) const {
    for (const auto& [device, program] : kPrograms) {
      EXPECT_TRUE(eventually([&] { return in_order(device, program, own); }))
          << device << ": ingress " << ::testing::PrintToString(programs(device, TcHook::kIngress)) << ", egress "
          << ::testing::PrintToString(programs(device, TcHook::kEgress));
    }
  }

  // Traffic that needs the neighbour: it does the load balancing.
  void expect_traffic() const {
    lab_->set_mode("node-dnat");
    const std::uint64_t before = packets_of_neighbour(RD_FROM_POD);
    int complete = 0;
    lab_->inside("p1", [&] { complete = complete_requests("10.0.5.5", 443, kConnections); });
    EXPECT_EQ(complete, kConnections);
    EXPECT_GT(packets_of_neighbour(RD_FROM_POD), before + kConnections);
  }

  // Counts of a fresh agent: exact, so that nothing is missed and nothing seen twice.
  void expect_all_seen() const {
    expect_programs(1);
    expect_traffic();
    const std::string handshakes = "hairpind_handshakes_total{lb=\"10.0.5.5:443\",result=";
    EXPECT_TRUE(eventually([&] { return agent_->metric(handshakes + "\"answered\"}") == kConnections; }))
        << agent_->get("/metrics").second;
    EXPECT_THAT(agent_->alerts(), ::testing::IsEmpty());
    lab_->set_mode("ip-target");
    const std::uint64_t before = packets_of_neighbour(RD_FROM_NET);
    lab_->inside("p1", [&] {
      const PendingConnections connections("10.0.5.5", 443, kConnections);
      EXPECT_TRUE(eventually([&] { return agent_->metric(handshakes + "\"mismatched\"}") == kConnections; }))
          << agent_->get("/metrics").second;
    });
    EXPECT_GE(packets_of_neighbour(RD_FROM_NET), before + kConnections);
    EXPECT_EQ(agent_->metric("hairpind_syns_total{lb=\"10.0.5.5:443\"}"), 2 * kConnections);
    EXPECT_EQ(agent_->metric_sum("hairpind_mismatches_total"), kConnections);
    EXPECT_EQ(agent_->metric_sum("hairpind_attach_failures_total"), 0) << agent_->standard_error();
  }

  const NetworkLab* lab_ = nullptr;
  std::unique_ptr<AgentProcess> agent_;

 private:
  static std::map<std::string, std::unique_ptr<NetworkLab>>& labs() {
    static std::map<std::string, std::unique_ptr<NetworkLab>> labs;
    return labs;
  }
};

TEST_P(CoexistenceTest, BothSeeEverythingAndTrafficFlows) {
  if (GetParam().hairpind_first) {
    lab_->detach_datapath();
    start_agent();
    lab_->attach_datapath();
  } else {
    start_agent();
  }
  expect_all_seen();

  // Open across the end of hairpind, and after it.
  lab_->set_mode("node-dnat");
  int complete = 0;
  std::thread client(
      [&] { lab_->inside("p1", [&] { complete = complete_requests("10.0.5.5", 443, 20 * kConnections); }); });
  agent_->send_signal(GetParam().signal);
  const auto ended = agent_->wait_for_exit();
  client.join();
  ASSERT_TRUE(ended);
  EXPECT_EQ(complete, 20 * kConnections);
  const bool left_behind = GetParam().signal == SIGKILL && GetParam().attach == std::string("clsact");
  expect_programs(left_behind ? 1 : 0);
  expect_traffic();

  start_agent();
  expect_all_seen();
}

INSTANTIATE_TEST_SUITE_P(Lab, CoexistenceTest, ::testing::ValuesIn(neighbours()),
                         [](const auto& test) { return test.param.name; });

// The kernel runs TCX links before every clsact filter, and the datapath's let nothing through to them.
TEST(CoexistenceWarningTest, BlindIsSaid) {
  const NetworkLab lab("redirect-tcx");
  if (!lab.unavailable().empty()) {
    GTEST_SKIP() << lab.unavailable();
  }
  lab.set_mode("node-dnat");
  const AgentProcess agent(lab, {"--lb", "10.0.5.5:443", "--attach", "clsact"});
  ASSERT_TRUE(agent.wait_until_ready());
  EXPECT_TRUE(agent.logs("others' programs run before hairpind's")) << agent.standard_error();
  EXPECT_EQ(agent.metric("hairpind_interfaces_blind"), 0) << "nothing has been missed yet";
  lab.inside("p1", [&] { EXPECT_EQ(complete_requests("10.0.5.5", 443, 10 * kConnections), 10 * kConnections); });
  EXPECT_TRUE(eventually([&] { return agent.metric("hairpind_interfaces_blind") == 2; }))
      << agent.get("/metrics").second;
  EXPECT_TRUE(agent.logs("hairpind has seen none of their handshakes"));
}

TEST(CoexistenceWarningTest, NeitherIsWarnedOfInFront) {
  const NetworkLab lab("redirect-tcx");
  if (!lab.unavailable().empty()) {
    GTEST_SKIP() << lab.unavailable();
  }
  lab.set_mode("node-dnat");
  const AgentProcess agent(lab, {"--lb", "10.0.5.5:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  lab.inside("p1", [&] { EXPECT_EQ(complete_requests("10.0.5.5", 443, 10 * kConnections), 10 * kConnections); });
  std::this_thread::sleep_for(std::chrono::seconds(12));  // one look of the agent's
  EXPECT_EQ(agent.metric("hairpind_interfaces_blind"), 0);
  EXPECT_EQ(agent.standard_error().find("run before hairpind's"), std::string::npos);
}

// Where no route tells whose an address is: whoever uses it first must not make its owner a forger.
TEST(SpoofingTest, APodDoesNotMuteAnother) {
  const NetworkLab lab("masquerade");
  if (!lab.unavailable().empty()) {
    GTEST_SKIP() << lab.unavailable();
  }
  const AgentProcess agent(lab, {"--lb", "10.0.5.5:443", "--handshake-timeout", "5"});
  ASSERT_TRUE(agent.wait_until_ready());
  lab.ip("p2", {"address", "add", "10.0.1.10/32", "dev", "lo"});
  run_command({"ip", "netns", "exec", lab.namespace_name("p2"), "curl", "-s", "--interface", "10.0.1.10", "-m", "1",
               "http://10.0.5.5:443/"});
  lab.ip("p2", {"address", "del", "10.0.1.10/32", "dev", "lo"});
  EXPECT_TRUE(eventually([&] { return agent.metric_sum("hairpind_syns_total") == 1; })) << "the lab's spoofed SYN";
  std::unique_ptr<PendingConnections> connections;
  lab.inside("p1", [&] { connections = std::make_unique<PendingConnections>("10.0.5.5", 443, kConnections); });
  EXPECT_TRUE(eventually([&] { return agent.metric_sum("hairpind_mismatches_total") == kConnections; }))
      << agent.get("/metrics").second << agent.standard_error();
  ASSERT_TRUE(eventually([&] { return !agent.alerts().empty(); }));
  EXPECT_EQ(agent.alerts()[0]["client"]["ip"], "10.0.1.10");
  EXPECT_EQ(agent.alerts()[0]["evidence"]["syn_interface"], "veth1");
}

}  // namespace
}  // namespace hairpind::testing
