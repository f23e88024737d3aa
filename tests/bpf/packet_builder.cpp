// SPDX-License-Identifier: Apache-2.0
#include "packet_builder.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace hairpind::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

void put8(Bytes& out, std::size_t value) {
  out.push_back(static_cast<std::uint8_t>(value));
}

void put16(Bytes& out, std::size_t value) {
  put8(out, value >> 8U);
  put8(out, value & 0xffU);
}

void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16U);
  put16(out, value & 0xffffU);
}

void put_address(Bytes& out, const IpAddress& address) {
  out.insert(out.end(), address.bytes.begin() + (address.is_v4() ? 12 : 0), address.bytes.end());
}

constexpr std::uint8_t kFragmentHeader = 44;

}  // namespace

IpAddress ip(std::string_view text) {
  const auto address = IpAddress::parse(text);
  if (!address) {
    std::fprintf(stderr, "not an address: %s\n", std::string(text).c_str());
    std::abort();
  }
  return *address;
}

PacketBuilder& PacketBuilder::from(std::string_view address, std::uint16_t port) {
  source_ = {.address = ip(address), .port = port};
  return *this;
}

PacketBuilder& PacketBuilder::to(std::string_view address, std::uint16_t port) {
  destination_ = {.address = ip(address), .port = port};
  return *this;
}

PacketBuilder& PacketBuilder::tcp(std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgment) {
  flags_ = flags;
  sequence_ = sequence;
  acknowledgment_ = acknowledgment;
  return *this;
}

PacketBuilder& PacketBuilder::payload(std::size_t bytes) {
  payload_ = bytes;
  return *this;
}

PacketBuilder& PacketBuilder::source_mac(std::uint8_t last_byte) {
  source_mac_ = last_byte;
  return *this;
}

PacketBuilder& PacketBuilder::vlan(std::uint16_t ether_type) {
  vlan_ = ether_type;
  return *this;
}

PacketBuilder& PacketBuilder::ip_options(std::size_t bytes) {
  ip_options_ = bytes;
  return *this;
}

PacketBuilder& PacketBuilder::tcp_options(std::size_t bytes) {
  tcp_options_ = bytes;
  return *this;
}

PacketBuilder& PacketBuilder::extension_header(std::uint8_t next_header) {
  extensions_.push_back(next_header);
  return *this;
}

PacketBuilder& PacketBuilder::fragment(std::uint16_t offset) {
  fragment_ = offset;
  if (!source_.address.is_v4()) {
    extensions_.push_back(kFragmentHeader);
  }
  return *this;
}

PacketBuilder& PacketBuilder::protocol(std::uint8_t number) {
  protocol_ = number;
  return *this;
}

PacketBuilder& PacketBuilder::truncate(std::size_t bytes) {
  truncate_ = bytes;
  return *this;
}

std::vector<std::uint8_t> PacketBuilder::build() const {
  Bytes tcp;
  put16(tcp, source_.port);
  put16(tcp, destination_.port);
  put32(tcp, sequence_);
  put32(tcp, acknowledgment_);
  put8(tcp, (5 + tcp_options_ / 4) << 4U);
  put8(tcp, flags_);
  put16(tcp, 65535);
  put32(tcp, 0);
  tcp.insert(tcp.end(), tcp_options_, 1);  // no-operation
  tcp.insert(tcp.end(), payload_, 'x');

  const bool v4 = source_.address.is_v4();
  Bytes frame{2, 0, 0, 0, 0, 0xff, 2, 0, 0, 0, 0, source_mac_};
  if (vlan_ != 0) {
    put16(frame, vlan_);
    put16(frame, 100);
  }
  put16(frame, v4 ? 0x0800 : 0x86dd);
  if (v4) {
    put8(frame, 0x40U | (5 + ip_options_ / 4));
    put8(frame, 0);
    put16(frame, 20 + ip_options_ + tcp.size());
    put16(frame, 1);
    put16(frame, fragment_);
    put8(frame, 64);
    put8(frame, protocol_);
    put16(frame, 0);
    put_address(frame, source_.address);
    put_address(frame, destination_.address);
    frame.insert(frame.end(), ip_options_, 1);  // no-operation
  } else {
    put32(frame, 0x60000000U);
    put16(frame, extensions_.size() * 8 + tcp.size());
    put8(frame, extensions_.empty() ? protocol_ : extensions_.front());
    put8(frame, 64);
    put_address(frame, source_.address);
    put_address(frame, destination_.address);
    for (std::size_t i = 0; i < extensions_.size(); i++) {
      put8(frame, i + 1 < extensions_.size() ? extensions_[i + 1] : protocol_);
      put8(frame, 0);
      put16(frame, extensions_[i] == kFragmentHeader ? static_cast<std::size_t>(fragment_) << 3U : 0);
      put32(frame, 0);
    }
  }
  frame.insert(frame.end(), tcp.begin(), tcp.end());
  if (truncate_ != 0) {
    frame.resize(std::min(frame.size(), truncate_));
  }
  return frame;
}

}  // namespace hairpind::testing
