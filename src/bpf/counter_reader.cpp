// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/counter_reader.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "map_walk.hpp"

namespace hairpind {
namespace {

Result<FileDescriptor> duplicate(int fd) {
  FileDescriptor copy(fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (copy.get() < 0) {
    return fail_errno("duplicate a BPF map's file descriptor", errno);
  }
  return copy;
}

SinceBoot monotonic(std::uint64_t nanoseconds) {
  return SinceBoot(static_cast<std::int64_t>(nanoseconds));
}

}  // namespace

Result<CounterReader> CounterReader::open(const Maps& maps) {
  CounterReader reader;
  for (const auto& [fd, own] : {std::pair{maps.totals, &reader.totals_}, std::pair{maps.incidents, &reader.incidents_},
                                std::pair{maps.load_balancers, &reader.load_balancers_},
                                std::pair{maps.callers, &reader.callers_}, std::pair{maps.bss, &reader.bss_}}) {
    auto copy = duplicate(fd);
    if (!copy) {
      return std::unexpected(copy.error());
    }
    *own = *std::move(copy);
  }
  const auto bss = map_info(maps.bss);
  if (!bss) {
    return std::unexpected(bss.error());
  }
  reader.bss_size_ = bss->value_size;
  reader.count_offset_ = maps.load_balancer_count_offset;
  return reader;
}

Result<std::vector<LoadBalancerCounters>> CounterReader::read_load_balancers() const {
  // A copy by system call, not the mapping that the loop's thread has: whoever reads needs nothing of the loop's.
  const std::uint32_t zero = 0;
  std::vector<std::byte> bss(bss_size_);
  if (const int error = bpf_map_lookup_elem(bss_.get(), &zero, bss.data()); error != 0) {
    return fail_errno("read the BPF object's .bss", error);
  }
  std::uint32_t count = 0;
  std::memcpy(&count, bss.data() + count_offset_, sizeof(count));
  std::vector<hp_lb_counters> rows(std::min<std::size_t>(std::size_t{count} + 1, HP_LB_COUNTERS));
  for (std::uint32_t index = 0; index < rows.size(); index++) {
    if (const int error = bpf_map_lookup_elem(load_balancers_.get(), &index, &rows[index]); error != 0) {
      return fail_errno("read the BPF map 'load_balancers'", error);
    }
  }
  return decode_load_balancers(rows);
}

std::vector<LoadBalancerCounters> decode_load_balancers(std::span<const hp_lb_counters> rows) {
  std::vector<LoadBalancerCounters> result;
  for (const hp_lb_counters& row : rows) {
    LoadBalancerCounters decoded = LoadBalancerCounters::from_abi(row);
    // Another than the first without a name is about to get one, or never will.
    if (result.empty() || !decoded.load_balancer.empty()) {
      result.push_back(std::move(decoded));
    }
  }
  return result;
}

Result<std::vector<IncidentCount>> CounterReader::read_incidents() const {
  std::vector<IncidentCount> result;
  auto read = for_each_entry<hp_incident_key, hp_incident>(incidents_.get(), [&](const auto& key, const auto& entry) {
    if (auto incident = decode_incident(key, entry)) {
      result.push_back(*std::move(incident));
    }
  });
  if (!read) {
    return std::unexpected(read.error());
  }
  return result;
}

std::optional<IncidentCount> decode_incident(const hp_incident_key& key, const hp_incident& incident) {
  auto example = Attempt::from_abi(incident.example);
  // A cause this build does not know cannot come from its own object. A new incident is counted a moment before
  // its first example is written: it is there at the next look.
  if (!example || example->load_balancer.empty() || key.cause >= HP_CAUSE_COUNT) {
    return std::nullopt;
  }
  return IncidentCount{.key = {.client = IpAddress::from_abi(key.client),
                               .load_balancer = Endpoint::from_abi(key.lb),
                               .responder = Endpoint::from_abi(key.responder),
                               .cause = static_cast<Cause>(key.cause)},
                       .count = incident.count,
                       .last_event = monotonic(incident.last_event_ns),
                       .example = *std::move(example)};
}

std::optional<std::uint64_t> CounterReader::read_incident_count(const IncidentKey& key) const {
  const hp_incident_key raw = key.to_abi();
  hp_incident incident{};
  if (bpf_map_lookup_elem(incidents_.get(), &raw, &incident) != 0) {
    return std::nullopt;
  }
  return incident.count;
}

Result<std::vector<Caller>> CounterReader::read_callers() const {
  std::vector<Caller> result;
  auto read = for_each_entry<hp_caller_key, std::uint64_t>(callers_.get(), [&](const auto& key, const auto& last) {
    result.push_back({.client = IpAddress::from_abi(key.client),
                      .load_balancer = Endpoint::from_abi(key.lb),
                      .last = monotonic(last)});
  });
  if (!read) {
    return std::unexpected(read.error());
  }
  return result;
}

std::array<std::uint64_t, HP_TOTAL_COUNT> CounterReader::read_totals() const {
  std::array<std::uint64_t, HP_TOTAL_COUNT> totals{};
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  for (std::uint32_t index = 0; index < totals.size(); index++) {
    if (bpf_map_lookup_elem(totals_.get(), &index, per_cpu.data()) != 0) {
      continue;
    }
    for (const std::uint64_t value : per_cpu) {
      totals.at(index) += value;
    }
  }
  return totals;
}

}  // namespace hairpind
