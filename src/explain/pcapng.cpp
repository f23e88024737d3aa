// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/pcapng.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "hairpind/explain/ladder.hpp"

namespace hairpind {
namespace {

// draft-ietf-opsawg-pcapng-03, sections 4.1 to 4.3. Byte order is the writer's, told by the section header.
constexpr std::uint32_t kSectionHeader = 0x0a0d0d0a;
constexpr std::uint32_t kByteOrderMagic = 0x1a2b3c4d;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kEnhancedPacket = 6;
constexpr std::uint16_t kLinkTypeRaw = 101;  // begins with an IPv4 or IPv6 header
constexpr std::uint32_t kSnapLength = 65535;

constexpr std::uint16_t kEndOfOptions = 0;
constexpr std::uint16_t kComment = 1;
constexpr std::uint16_t kUserApplication = 4;  // of the section
constexpr std::uint16_t kName = 2;             // of an interface
constexpr std::uint16_t kDescription = 3;
constexpr std::uint16_t kTimeResolution = 9;
constexpr std::uint16_t kFlags = 2;  // of a packet
constexpr std::uint32_t kInbound = 1;
constexpr std::uint32_t kOutbound = 2;

class Block {
 public:
  explicit Block(std::uint32_t type) : type_(type) {}

  template <typename T>
  Block& add(T value) {
    body_.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }

  Block& add_bytes(std::string_view bytes) {
    body_ += bytes;
    body_.append((4 - bytes.size() % 4) % 4, '\0');
    return *this;
  }

  Block& add_option(std::uint16_t code, std::string_view value) {
    value = value.substr(0, 0xffff);
    return add(code).add(static_cast<std::uint16_t>(value.size())).add_bytes(value);
  }

  [[nodiscard]] std::string finish() {
    add(kEndOfOptions).add(std::uint16_t{0});
    const auto length = static_cast<std::uint32_t>(body_.size() + 12);
    Block all(0);
    all.add(type_).add(length).add_bytes(body_).add(length);
    return all.body_;
  }

 private:
  std::uint32_t type_;
  std::string body_;
};

std::string section_header() {
  Block block(kSectionHeader);
  block.add(kByteOrderMagic).add(std::uint16_t{1}).add(std::uint16_t{0}).add(~std::uint64_t{0});
  return block.add_option(kUserApplication, "hairpind explain").finish();
}

std::string interface_description(const std::string& node, const std::string& name) {
  Block block(kInterfaceDescription);
  block.add(kLinkTypeRaw).add(std::uint16_t{0}).add(kSnapLength);
  block.add_option(kName, name).add_option(kDescription, "node " + node);
  constexpr std::string_view kNanoseconds = "\x09";
  return block.add_option(kTimeResolution, kNanoseconds).finish();
}

struct Captured {
  const ToldIncident* incident = nullptr;
  const ToldPacket* packet = nullptr;
  std::uint32_t interface = 0;
  std::string notes;  // of what happened after it without a packet of its own
};

/// As the device sees it: the pod's side of a device is outside of the node.
std::uint32_t flags_of(const std::string& hook) {
  if (hook == "from_pod" || hook == "from_net") {
    return kInbound;
  }
  return hook == "to_pod" || hook == "to_net" ? kOutbound : 0;
}

std::string comment_of(const Captured& captured) {
  const ToldPacket& packet = *captured.packet;
  return packet.hook + ": " + meaning_of(*captured.incident, packet) + captured.notes + " (incident " +
         captured.incident->alert.incident + ")";
}

std::string enhanced_packet(const Captured& captured) {
  const ToldPacket& packet = *captured.packet;
  const auto time = static_cast<std::uint64_t>(packet.time.value_or(WallTime{}).time_since_epoch().count());
  Block block(kEnhancedPacket);
  block.add(captured.interface).add(static_cast<std::uint32_t>(time >> 32U)).add(static_cast<std::uint32_t>(time));
  block.add(static_cast<std::uint32_t>(packet.data.size())).add(packet.length).add_bytes(packet.data);
  block.add_option(kComment, comment_of(captured));
  const std::uint32_t flags = flags_of(packet.hook);
  if (flags != 0) {
    block.add(kFlags).add(std::uint16_t{sizeof(flags)}).add(flags);
  }
  return block.finish();
}

/// Packets of an incident; what has no bytes is told with the packet before it.
void collect(const ToldIncident& incident, std::vector<Captured>& all) {
  const std::size_t before = all.size();
  for (const ToldPacket& packet : incident.packets) {
    if (!packet.data.empty()) {
      all.push_back({.incident = &incident, .packet = &packet, .interface = 0, .notes = {}});
    } else if (all.size() > before) {
      all.back().notes += "; then " + packet.hook + ": " + meaning_of(incident, packet);
    }
  }
}

}  // namespace

std::string pcapng(const ClusterState& state, std::string_view incident) {
  std::vector<Captured> packets;
  for (const ToldIncident& told : state.incidents) {
    if (incident.empty() || told.alert.incident == incident) {
      collect(told, packets);
    }
  }
  if (packets.empty()) {
    return {};
  }
  std::ranges::stable_sort(packets, {}, [](const Captured& captured) { return captured.packet->time; });
  std::string file = section_header();
  std::map<std::pair<std::string, std::string>, std::uint32_t> interfaces;
  for (Captured& captured : packets) {
    const std::string& node = captured.incident->alert.node;
    const std::string& device = captured.packet->interface;
    const std::string name = device.empty() ? "unknown" : device;
    const auto [at, is_new] = interfaces.try_emplace({node, name}, static_cast<std::uint32_t>(interfaces.size()));
    if (is_new) {
      file += interface_description(node, name);
    }
    captured.interface = at->second;
  }
  for (const Captured& captured : packets) {
    file += enhanced_packet(captured);
  }
  return file;
}

}  // namespace hairpind
