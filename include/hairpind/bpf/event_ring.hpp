// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "hairpind/core/captured_packet.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/event.hpp"

struct ring_buffer;

namespace hairpind {

/// The records of a ring, one by one: those that are events or packets are handed on, the others counted.
class RecordReader {
 public:
  using EventHandler = std::function<void(const Event&)>;
  using PacketHandler = std::function<void(CapturedPacket)>;

  /// One record, which may be anything. The bytes are valid during the call only. `packets` may be null.
  void read(std::span<const std::byte> record, const EventHandler& events, const PacketHandler& packets = {});

  [[nodiscard]] std::uint64_t malformed() const { return malformed_; }
  /// What was wrong with the first of these: once.
  std::optional<std::string> take_fault() { return std::exchange(fault_, std::nullopt); }

 private:
  std::uint64_t malformed_ = 0;
  std::optional<std::string> fault_;
};

/// The ring buffer in which the kernel side tells of attempts.
///
/// Owns: the mapping of the ring, and the count of records that were nothing known. What found no room is counted by
/// the kernel side (HP_TOTAL_RING_FULL). Called by: the event loop. Never waits.
class EventRing {
 public:
  /// The map need not outlive this.
  static Result<EventRing> open(int map_fd);

  /// Becomes readable when records wait.
  [[nodiscard]] int fd() const;
  /// Hands over all events and packets that wait, without blocking. Fails where the ring cannot be read, and once, when
  /// a record was malformed for the first time; all that waited has been handed over then, too.
  Result<void> poll(const RecordReader::EventHandler& events, const RecordReader::PacketHandler& packets = {});

  /// Records that were nothing known.
  [[nodiscard]] std::uint64_t malformed() const { return reading_->records.malformed(); }

 private:
  struct RingDeleter {
    void operator()(ring_buffer* ring) const;
  };
  /// What libbpf's callback is given: stays where it is when the ring is moved.
  struct Reading {
    RecordReader records;
    const RecordReader::EventHandler* events = nullptr;  ///< this and the next: set during poll
    const RecordReader::PacketHandler* packets = nullptr;
  };
  static int on_record(void* context, void* data, std::size_t size);

  EventRing() = default;

  std::unique_ptr<Reading> reading_ = std::make_unique<Reading>();
  std::unique_ptr<ring_buffer, RingDeleter> ring_;
};

}  // namespace hairpind
