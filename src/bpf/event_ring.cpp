// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/event_ring.hpp"

#include <bpf/libbpf.h>

#include <cerrno>

namespace hairpind {

void RecordReader::read(std::span<const std::byte> record, const EventHandler& events, const PacketHandler& packets) {
  std::string fault;
  if (is_packet(record)) {
    if (auto packet = decode_packet(record); !packet) {
      fault = packet.error();
    } else if (packets) {
      packets(*std::move(packet));
    }
  } else if (const auto event = decode_event(record); event) {
    events(*event);
  } else {
    fault = event.error();
  }
  if (!fault.empty() && malformed_++ == 0) {
    fault_ = fault;
  }
}

void EventRing::RingDeleter::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

Result<EventRing> EventRing::open(int map_fd) {
  EventRing opened;
  opened.ring_.reset(ring_buffer__new(map_fd, on_record, opened.reading_.get(), nullptr));
  if (!opened.ring_) {
    return fail_errno("map the ring buffer", errno);
  }
  return opened;
}

int EventRing::fd() const {
  return ring_buffer__epoll_fd(ring_.get());
}

int EventRing::on_record(void* context, void* data, std::size_t size) {
  auto& reading = *static_cast<Reading*>(context);
  reading.records.read({static_cast<const std::byte*>(data), size}, *reading.events, *reading.packets);
  return 0;
}

Result<void> EventRing::poll(const RecordReader::EventHandler& events, const RecordReader::PacketHandler& packets) {
  reading_->events = &events;
  reading_->packets = &packets;
  const int consumed = ring_buffer__consume(ring_.get());
  reading_->events = nullptr;
  reading_->packets = nullptr;
  if (consumed < 0) {
    return fail_errno("read the ring buffer", consumed);
  }
  if (const auto fault = reading_->records.take_fault()) {
    return fail("ring buffer: " + *fault +
                R"(; ignored, counted in hairpind_events_lost_total{reason="record_invalid"})");
  }
  return {};
}

}  // namespace hairpind
