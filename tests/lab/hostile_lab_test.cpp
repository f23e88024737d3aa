// SPDX-License-Identifier: Apache-2.0
// Neighbours that mean harm, and what the agent has that they could take. Needs root.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "agent_process.hpp"
#include "lab_test.hpp"
#include "pod_interfaces.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

constexpr const char* kPods = R"(hairpind_interfaces_attached{hook="from_pod",mode="clsact"})";
constexpr std::uint64_t kLoopsCapabilities = (std::uint64_t{1} << CAP_BPF) | (std::uint64_t{1} << CAP_NET_ADMIN);

class HostileTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (!IsSkipped()) {
      lab().set_mode("ip-target");
    }
  }

  void fail_connections(int count, const char* client = "p1") const {
    lab().inside(client, [&] { const PendingConnections connections("10.0.5.5", 443, count); });
  }

  /// To the agent's listener, from the node; `bytes` are sent.
  static FileDescriptor client(std::string_view bytes, int receive_bytes = 0) {
    FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9477);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes != 0) {
      setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    EXPECT_EQ(connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return socket;
  }

  /// Sends on until the agent will not have it any more.
  static void send_without_end(std::string_view begin, std::string_view more) {
    const FileDescriptor socket = client(begin);
    while (send(socket.get(), more.data(), more.size(), MSG_NOSIGNAL) > 0) {
    }
  }
};

TEST_F(HostileTest, HttpClientsTakeNothingFromTheAgent) {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--attach", "clsact"});
  ASSERT_TRUE(agent.wait_until_ready());
  for (int i = 0; i < 20; i++) {
    EXPECT_EQ(agent.get("/metrics").first, 200);
  }
  const double pods = agent.metric(kPods);
  const std::uint64_t before = agent.resident_kib();

  std::string range = "GET /metrics HTTP/1.1\r\nRange: bytes=0-";
  while (range.size() < 7000) {
    range += ",0-";
  }
  range += "\r\n\r\n";
  std::vector<FileDescriptor> held;
  lab().inside("node", [&] {
    for (int i = 0; i < 200; i++) {
      held.push_back(client(range));
    }
    for (int i = 0; i < 20; i++) {
      send_without_end("GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n");
      send_without_end("GET /metrics HTTP/1.1\r\n", "a: bcdefghijklmnopqrstuvwxyz\r\n");
      send_without_end("GET /", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }
    for (int i = 0; i < 16; i++) {
      held.push_back(client("GET /metrics HTTP/1.1\r\nHost:"));
      held.push_back(client("GET /metrics HTTP/1.1\r\n\r\n", 2048));
    }
    for (int i = 0; i < 1100; i++) {
      held.push_back(client(""));
    }
  });
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_EQ(agent.get("/healthz").first, 200);
  EXPECT_LT(std::chrono::steady_clock::now() - asked, std::chrono::seconds(3));
  EXPECT_EQ(agent.get("/readyz").first, 200);

  // It has the descriptors that its own work takes.
  add_pod_interfaces(lab(), 0, 1);
  EXPECT_TRUE(eventually([&] { return agent.metric(kPods) == pods + 1; }));
  remove_pod_interfaces(lab(), 0, 1);
  EXPECT_EQ(agent.metric("hairpind_attach_failures_total"), 0);
  fail_connections(1);
  EXPECT_TRUE(eventually([&] { return agent.alerts().size() == 1; }));
  EXPECT_LT(agent.resident_kib(), before + 8192);

  agent.send_signal(SIGTERM);
  const auto told = std::chrono::steady_clock::now();
  EXPECT_EQ(agent.wait_for_exit(), 0) << agent.standard_error();
  EXPECT_LT(std::chrono::steady_clock::now() - told, std::chrono::seconds(3));
}

TEST_F(HostileTest, TheAgentHasNoRightsBeyondItsWork) {
  const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(agent.pid()) + "/task")) {
    threads++;
    const std::string status = read_file(task.path() / "status");
    const auto field = [&](const std::string& name) {
      const std::size_t at = status.find("\n" + name + ":\t");
      return at == std::string::npos
                 ? "none"
                 : status.substr(at + name.size() + 3, status.find('\n', at + 1) - at - name.size() - 3);
    };
    for (const char* const set : {"CapPrm", "CapEff"}) {
      EXPECT_EQ(std::stoull(field(set), nullptr, 16), kLoopsCapabilities) << set;
    }
    EXPECT_EQ(field("CapInh"), "0000000000000000");
    EXPECT_EQ(field("CapAmb"), "0000000000000000");
    // To lower what it may get by executing takes a right that a starter may have taken.
    if (std::getenv("HAIRPIND_LAB_STARTER") == nullptr) {
      EXPECT_EQ(std::stoull(field("CapBnd"), nullptr, 16), kLoopsCapabilities);
    }
    EXPECT_EQ(field("NoNewPrivs"), "1");
    EXPECT_EQ(field("Seccomp"), "2");
  }
  EXPECT_GE(threads, 3) << "the loop's, the resolver's, the listener's";
  EXPECT_TRUE(agent.logs("rights after the start: ")) << agent.standard_error();
}

// Root without CAP_DAC_OVERRIDE may not write there.
TEST_F(HostileTest, AnAlertFileAmongAnothersIsOpenedAnewAllTheSame) {
  const std::string directory = "/tmp/hairpind-foreign-" + std::to_string(getpid());
  std::filesystem::create_directory(directory);
  ASSERT_EQ(chown(directory.c_str(), 65534, 65534), 0);
  ASSERT_EQ(chmod(directory.c_str(), 0700), 0);
  {
    const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--alerts", directory + "/alerts"});
    ASSERT_TRUE(agent.wait_until_ready());
    std::filesystem::rename(directory + "/alerts", directory + "/alerts.1");
    agent.send_signal(SIGHUP);
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(directory + "/alerts"); })) << agent.standard_error();
    EXPECT_TRUE(agent.logs("cap_dac_override")) << agent.standard_error();
  }
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace hairpind::testing
