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

#include "agent_process.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "redirect_abi.h"
#include "tc_programs.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

struct Neighbour {
  const char* name;
  const char* datapath;
  bool hairpind_first;  ///< it attaches before its neighbour does
  int signal;           ///< how hairpind ends
};

void PrintTo(const Neighbour& test, std::ostream* out) {
  *out << test.name;
}

constexpr Neighbour kNeighbours[] = {
    {"clsact_filter_before_a_restart", "redirect", false, SIGTERM},
    {"clsact_filter_before_a_kill", "redirect", false, SIGKILL},
    {"clsact_filter_after_and_a_restart", "redirect", true, SIGTERM},
    {"clsact_filter_after_and_a_kill", "redirect", true, SIGKILL},
    {"tcx_link_before_a_restart", "redirect-tcx", false, SIGTERM},
    {"tcx_link_before_a_kill", "redirect-tcx", false, SIGKILL},
    {"tcx_link_after_and_a_restart", "redirect-tcx", true, SIGTERM},
    {"tcx_link_after_and_a_kill", "redirect-tcx", true, SIGKILL},
};
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
    agent_ = std::make_unique<AgentProcess>(*lab_, std::vector<std::string>{"--lb", "10.0.5.5:443"});
    ASSERT_TRUE(agent_->wait_until_ready());
  }

  [[nodiscard]] std::uint64_t packets_of_neighbour(std::uint32_t side) const {
    const FileDescriptor map(bpf_obj_get((lab_->pins() + "/packets").c_str()));
    std::uint64_t count = 0;
    EXPECT_EQ(bpf_map_lookup_elem(map.get(), &side, &count), 0);
    return count;
  }

  // The neighbour is where it was, once, and hairpind's own programs are there once or not at all.
  void expect_programs(bool with_hairpind) const {
    const bool tcx = GetParam().datapath == std::string("redirect-tcx");
    const std::size_t own = with_hairpind ? 1 : 0;
    for (const auto& [device, program] : kPrograms) {
      const std::uint32_t neighbour = pinned_program(lab_->pins() + "/" + program);
      ASSERT_NE(neighbour, 0);
      const auto ingress = tcx_programs(*lab_, device, TcHook::kIngress);
      EXPECT_EQ(ingress.size(), own + (tcx ? 1 : 0)) << device;
      EXPECT_EQ(tcx_programs(*lab_, device, TcHook::kEgress).size(), own) << device;
      if (tcx) {
        EXPECT_EQ(ingress.back(), neighbour) << device << ": hairpind goes first, lest it see nothing";
      } else {
        EXPECT_EQ(clsact_program(*lab_, device), neighbour) << device;
      }
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
    expect_programs(true);
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
  EXPECT_TRUE(eventually([&] { return tcx_programs(*lab_, "veth1", TcHook::kEgress).empty(); }));
  expect_programs(false);
  expect_traffic();

  start_agent();
  expect_all_seen();
}

INSTANTIATE_TEST_SUITE_P(Lab, CoexistenceTest, ::testing::ValuesIn(kNeighbours),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace hairpind::testing
