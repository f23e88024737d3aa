// SPDX-License-Identifier: Apache-2.0
#include "segment.hpp"

#include <array>
#include <cstddef>

namespace hairpind {
namespace {

constexpr std::uint8_t kTcp = 6;

std::uint8_t byte_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint8_t>(bytes[at]);
}

std::uint16_t word_at(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(byte_at(bytes, at) << 8U | byte_at(bytes, at + 1));
}

std::uint32_t long_at(std::string_view bytes, std::size_t at) {
  return std::uint32_t{word_at(bytes, at)} << 16U | word_at(bytes, at + 2);
}

struct Network {
  IpAddress source;
  IpAddress destination;
  std::size_t length = 0;  ///< of the headers before TCP
};

std::optional<Network> read_v4(std::string_view bytes) {
  const std::size_t length = bytes.size() < 20 ? 0 : std::size_t{byte_at(bytes, 0) & 0xfU} * 4;
  if (length < 20 || byte_at(bytes, 9) != kTcp || (word_at(bytes, 6) & 0x1fffU) != 0) {
    return std::nullopt;
  }
  return Network{.source = *IpAddress::from_network(bytes.data() + 12, 4),
                 .destination = *IpAddress::from_network(bytes.data() + 16, 4),
                 .length = length};
}

bool is_extension(std::uint8_t header) {
  return header == 0 || header == 43 || header == 60;  // hop by hop, routing, destination options
}

std::optional<Network> read_v6(std::string_view bytes) {
  constexpr std::size_t kHeader = 40;
  if (bytes.size() < kHeader) {
    return std::nullopt;
  }
  std::uint8_t next = byte_at(bytes, 6);
  std::size_t at = kHeader;
  while (is_extension(next) && at + 2 <= bytes.size()) {
    next = byte_at(bytes, at);
    at += (std::size_t{byte_at(bytes, at + 1)} + 1) * 8;
  }
  if (next != kTcp) {
    return std::nullopt;
  }
  return Network{.source = *IpAddress::from_network(bytes.data() + 8, 16),
                 .destination = *IpAddress::from_network(bytes.data() + 24, 16),
                 .length = at};
}

}  // namespace

std::string Segment::flags() const {
  std::string text;
  const auto add = [&](bool set, const char* name) {
    if (set) {
      text += (text.empty() ? "" : "-") + std::string(name);
    }
  };
  add(syn, "SYN");
  add(fin, "FIN");
  add(rst, "RST");
  add(has_ack && !rst, "ACK");
  return text.empty() ? "TCP" : text;
}

std::optional<Segment> parse_segment(std::string_view bytes) {
  if (bytes.empty()) {
    return std::nullopt;
  }
  const unsigned version = byte_at(bytes, 0) >> 4U;
  std::optional<Network> network;
  if (version == 4) {
    network = read_v4(bytes);
  } else if (version == 6) {
    network = read_v6(bytes);
  }
  constexpr std::size_t kNeeded = 14;  // up to the flags
  if (!network || bytes.size() < network->length + kNeeded) {
    return std::nullopt;
  }
  const std::string_view tcp = bytes.substr(network->length);
  const unsigned flags = byte_at(tcp, 13);
  return Segment{.source = {.address = network->source, .port = word_at(tcp, 0)},
                 .destination = {.address = network->destination, .port = word_at(tcp, 2)},
                 .seq = long_at(tcp, 4),
                 .ack = long_at(tcp, 8),
                 .syn = (flags & 0x02U) != 0,
                 .has_ack = (flags & 0x10U) != 0,
                 .rst = (flags & 0x04U) != 0,
                 .fin = (flags & 0x01U) != 0};
}

}  // namespace hairpind
