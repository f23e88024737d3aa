// SPDX-License-Identifier: Apache-2.0
// The packets themselves: an alert line that shows what passed which device, byte by byte. Needs root.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <openssl/evp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent_process.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "lab_test.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;
using Bytes = std::vector<std::uint8_t>;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;

constexpr std::size_t kEthernetHeader = 14;
constexpr int kFirstPort = 41001;
constexpr int kSecondPort = 41002;

// All frames of a device of the node, as libpcap has them.
class Tap {
 public:
  Tap(const NetworkLab& lab, const std::string& device) {
    lab.inside("node", [&] {
      socket_ = FileDescriptor(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
      sockaddr_ll address{};
      address.sll_family = AF_PACKET;
      address.sll_protocol = htons(ETH_P_ALL);
      address.sll_ifindex = static_cast<int>(if_nametoindex(device.c_str()));
      EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    });
  }

  // From the network header on.
  [[nodiscard]] std::vector<Bytes> packets() {
    std::array<std::uint8_t, 4096> frame{};
    for (ssize_t size = 0; (size = recv(socket_.get(), frame.data(), frame.size(), 0)) > 0;) {
      if (static_cast<std::size_t>(size) > kEthernetHeader) {
        packets_.emplace_back(frame.begin() + kEthernetHeader, frame.begin() + size);
      }
    }
    return packets_;
  }

 private:
  FileDescriptor socket_;
  std::vector<Bytes> packets_;
};

Bytes decode(const std::string& text) {
  Bytes bytes(text.size());
  const int length =
      EVP_DecodeBlock(bytes.data(), reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  EXPECT_GE(length, 0) << text;
  bytes.resize(static_cast<std::size_t>(std::max(length, 0)) -
               static_cast<std::size_t>(std::min<std::ptrdiff_t>(std::ranges::count(text, '='), 2)));
  return bytes;
}

struct Family {
  const char* name;
  const char* lb;
  std::size_t tcp;  // where its header is
};

void PrintTo(const Family& family, std::ostream* out) {
  *out << family.name;
}

class EvidenceTest : public LabTest, public ::testing::WithParamInterface<Family> {
 protected:
  // "from_pod veth1 SYN"
  [[nodiscard]] std::string sighting(const Json& packet) const {
    std::string text = packet["hook"].get<std::string>();
    if (packet.contains("note")) {
      return text + " " + packet["note"].get<std::string>();
    }
    const Bytes bytes = decode(packet["data"]);
    const std::uint8_t flags = bytes.at(GetParam().tcp + 13);
    text += " " + packet["interface"].get<std::string>();
    text += (flags & 0x02U) != 0 ? " SYN" : "";
    text += (flags & 0x04U) != 0 ? " RST" : "";
    return text + ((flags & 0x10U) != 0 ? " ACK" : "");
  }
  void connect(int port) {
    lab().inside("p1",
                 [&] { connections.push_back(std::make_unique<PendingConnections>(GetParam().lb, 443, 1, port)); });
  }
  static Json evidence_of(const AgentProcess& agent, int port) {
    for (Json& line : agent.evidence()) {
      if (line["client"]["port"] == port) {
        return std::move(line);
      }
    }
    return nullptr;
  }

  std::vector<std::unique_ptr<PendingConnections>> connections;
};

TEST_P(EvidenceTest, TheSecondAttemptIsShownWhereverItPassed) {
  lab().set_mode("ip-target");
  std::map<std::string, Tap> taps;
  for (const char* const device : {"veth1", "veth2", "eth0"}) {
    taps.try_emplace(device, lab(), device);
  }
  const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  connect(kFirstPort);
  ASSERT_TRUE(eventually([&] { return !agent.alerts().empty(); }));
  connect(kSecondPort);
  ASSERT_TRUE(
      eventually([&] { return !evidence_of(agent, kSecondPort).is_null(); }, std::chrono::seconds(5 * patience())))
      << read_file(agent.alerts_path()) << agent.standard_error();

  const Json line = evidence_of(agent, kSecondPort);
  EXPECT_EQ(line["incident"], agent.alerts().at(0)["incident"]);
  EXPECT_EQ(line["cause"], "hairpin_ip_target");
  EXPECT_EQ(line["outcome"]["state"], "reset_by_client");
  std::vector<std::string> seen;
  std::string last;
  for (const Json& packet : line["packets"]) {
    seen.push_back(sighting(packet));
    EXPECT_GE(packet["time"].get<std::string>(), last);
    last = packet["time"];
    if (!packet.contains("data")) {
      continue;
    }
    const Bytes bytes = decode(packet["data"]);
    EXPECT_THAT(taps.at(packet["interface"]).packets(), ::testing::Contains(bytes)) << packet << " is not what passed";
    EXPECT_EQ(packet["length"], bytes.size()) << "a handshake's packet has no payload";
  }
  EXPECT_THAT(seen, IsSupersetOf({"from_pod veth1 SYN", "to_net eth0 SYN", "from_net eth0 SYN",
                                  "from_pod veth2 SYN ACK", "to_pod veth1 SYN ACK", "from_pod veth1 RST"}));
  EXPECT_EQ(seen.front(), "from_pod veth1 SYN");
  EXPECT_EQ(agent.alerts().size(), 1);

  // Two an hour, the first's retransmits among them.
  ASSERT_TRUE(eventually([&] { return agent.evidence().size() == 2; })) << read_file(agent.alerts_path());
  connect(kSecondPort + 1);
  ASSERT_TRUE(eventually([&] { return agent.metric_sum("hairpind_mismatches_total") == 3; }));
  EXPECT_EQ(agent.metric("hairpind_alerts_total{event=\"asymmetric_handshake_evidence\"}"), 2);
}

TEST_P(EvidenceTest, ADropIsShownWithItsReason) {
  lab().set_mode("ip-target-policy");
  const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  connect(kFirstPort);
  ASSERT_TRUE(eventually([&] { return !agent.alerts().empty(); }));
  connect(kSecondPort);
  ASSERT_TRUE(eventually([&] { return !evidence_of(agent, kSecondPort).is_null(); })) << read_file(agent.alerts_path());
  const Json line = evidence_of(agent, kSecondPort);
  bool dropped = false;
  for (const Json& packet : line["packets"]) {
    if (packet["hook"] == "kfree_skb" && packet["note"] == "the kernel dropped the SYN-ACK") {
      EXPECT_EQ(packet.value("reason", ""), line["outcome"]["drop_reason"]);
      dropped = true;
    }
  }
  EXPECT_TRUE(dropped) << line;
}

TEST_P(EvidenceTest, AnAgentThatLeavesShowsWhatItHas) {
  lab().set_mode("ip-target");
  AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  connect(kFirstPort);
  ASSERT_TRUE(eventually([&] { return !agent.alerts().empty(); }));
  connect(kSecondPort);
  ASSERT_TRUE(eventually([&] { return agent.metric_sum("hairpind_mismatches_total") == 2; }));
  agent.send_signal(SIGTERM);
  ASSERT_EQ(agent.wait_for_exit(), 0);
  EXPECT_FALSE(evidence_of(agent, kSecondPort).is_null()) << read_file(agent.alerts_path());
}

TEST_P(EvidenceTest, OfHealthyConnectionsNothingIsCopied) {
  lab().set_mode("lb-snat");
  const AgentProcess agent(lab(), {"--lb", "10.0.5.5:443", "--lb", "[fd00:5::5]:443"});
  ASSERT_TRUE(agent.wait_until_ready());
  int complete = 0;
  lab().inside("p1", [&] { complete = complete_requests(GetParam().lb, 443, 20); });
  EXPECT_EQ(complete, 20);
  EXPECT_EQ(agent.metric("hairpind_events_total"), 0);
  EXPECT_THAT(agent.evidence(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(Families, EvidenceTest,
                         ::testing::Values(Family{"IPv4", "10.0.5.5", 20}, Family{"IPv6", "fd00:5::5", 40}),
                         [](const auto& family) { return std::string(family.param.name); });

}  // namespace
}  // namespace hairpind::testing
