// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <span>

#include "hairpind/core/captured_packet.hpp"
#include "hairpind/core/event.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto record = std::as_bytes(std::span(data, size));
  const auto event = hairpind::decode_event(record);
  if (event && event->drop_symbol.size() > HP_SYMBOL_LENGTH) {
    __builtin_trap();
  }
  const auto packet = hairpind::decode_packet(record);
  if (packet && packet->data.size() > HP_PACKET_DATA) {
    __builtin_trap();
  }
  return 0;
}
