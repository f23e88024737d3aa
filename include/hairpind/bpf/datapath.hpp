// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/bpf/counter_reader.hpp"
#include "hairpind/bpf/hook.hpp"
#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/bpf/kernel_memory.hpp"
#include "hairpind/bpf/reset_sensor.hpp"
#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/incident_tracker.hpp"

struct handshake_bpf;
struct ring_buffer;

namespace hairpind {

struct LoadedObject;
struct SkeletonDeleter {
  void operator()(handshake_bpf* skeleton) const;
};

/// What the kernel took of what it was asked for.
struct LoadOutcome {
  bool conntrack_in_kernel = false;  ///< the programs ask netfilter themselves
  ResetSensor reset_sensor = ResetSensor::kNone;
  std::vector<std::string> lost;  ///< what it did not take, and what that costs: a line each, for the log
};

/// What a program costs the verifier, which gives up at a million instructions, and the kernel.
struct ProgramCost {
  std::string name;
  std::uint32_t verified_instructions = 0;
  std::uint32_t bytes = 0;  ///< of the program as the kernel keeps it
};

/// The loaded BPF programs and their maps. Owns everything in the kernel; the destructor detaches and frees it.
///
/// Owned by the event loop; other threads read the kernel's counters by a CounterReader.
class Datapath {
 public:
  struct Options {
    std::uint32_t pending_syns = 65536;  ///< size of the table of attempts
    std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(3);
    std::uint32_t ring_bytes = 1U << 20U;  ///< power of two, at least a page
    bool prefixes = false;                 ///< a Frontend with a prefix will be set
    ResetSensor reset_sensor = ResetSensor::kNone;
  };

  /// Opens, sizes, loads and attaches the tracepoints; what the kernel lacks is left out (KernelFeatures).
  /// The error holds the verifier's or kernel's reason.
  static Result<std::unique_ptr<Datapath>> load(const Options& options, const KernelFeatures& features);
  ~Datapath();
  Datapath(const Datapath&) = delete;
  Datapath& operator=(const Datapath&) = delete;

  [[nodiscard]] const LoadOutcome& outcome() const { return outcome_; }
  /// What the verifier made of each loaded program; empty on kernels that do not tell (before 5.16).
  [[nodiscard]] std::vector<ProgramCost> program_costs() const;

  /// What the maps take, as the kernel tells it (exact since 6.4).
  [[nodiscard]] KernelMemory kernel_memory() const;

  /// Where the tables write. Of the object, and so with its life.
  [[nodiscard]] int map_fd(std::string_view name) const;
  [[nodiscard]] std::span<__u64> frontend_filter() const;

  /// Becomes readable when events wait.
  [[nodiscard]] int event_fd() const;
  using RecordHandler = std::function<void(std::span<const std::byte>)>;
  /// Hands over all records that wait, without blocking. The bytes are valid during the call only.
  Result<void> poll(const RecordHandler& handler);

  /// Settles attempts older than the handshake timeout (S6) and forgets old ones. Returns how many still wait
  /// for an answer.
  [[nodiscard]] Result<std::uint64_t> sweep(MonotonicTime now);

  /// Whether the sweep asks about attempts that the kernel side has not found translated or not
  /// (EventKind::kConntrack). Off at first.
  void set_ask_conntrack(bool ask);
  /// Whether the record that Cilium's programs leave in a packet that they drop is believed. Off at first.
  void set_beside_cilium(bool beside);
  /// Whether others may still change what `to_pod` has seen (AttachmentTable::answers_may_change): a wrong answer there
  /// is then suspicion, else proof. Off at first.
  void set_answers_may_change(bool may);
  /// Whether `from_pod` has seen a handshake on a device, or on another of the same place (HP_SEEN_DEVICES).
  [[nodiscard]] bool seen(std::uint32_t ifindex) const;
  /// The device that has sent from another's address last, 0 if none has.
  [[nodiscard]] std::uint32_t spoofing_device() const;
  /// The device whose attempt was given up undecided last, 0 if it was one that the network sent.
  [[nodiscard]] std::uint32_t crowding_device() const;
  /// What each device's clients have of the tables that all share, by account, and all of them together: shared with
  /// the kernel, which adds to it. Whoever gives something back takes it off, atomically.
  struct Accounts {
    std::span<hp_account> each;
    std::uint32_t* incidents;
    std::uint32_t* unlisted_rows;
    const std::uint32_t* highest_row;
  };
  [[nodiscard]] Accounts accounts() const;
  /// The answer to such a question; ignored if the attempt has been decided or forgotten since.
  [[nodiscard]] Result<void> set_conntrack(const Attempt& asked, const ConntrackAnswer& answer) const;

  /// A reader of its own for whoever wants to know the counts.
  [[nodiscard]] Result<CounterReader> open_counters() const;
  /// A restart of the count: for incidents long idle, so that the table never fills for good.
  void forget_incident(const IncidentKey& key) const;

  /// The kernel's id of an attached program, for tests that look for leftovers.
  [[nodiscard]] int program_fd(Hook hook) const;

 private:
  struct RingDeleter {
    void operator()(ring_buffer* ring) const;
  };

  explicit Datapath(LoadedObject object);
  static int on_record(void* context, void* data, std::size_t size);

  std::unique_ptr<handshake_bpf, SkeletonDeleter> skeleton_;
  LoadOutcome outcome_;
  std::unique_ptr<ring_buffer, RingDeleter> ring_;
  const RecordHandler* handler_ = nullptr;  ///< set during poll
  std::uint32_t swept_changed_ = 0;         ///< attempts_changed (bpf/attempt_table.h) at the last sweep
  bool swept_clean_ = true;                 ///< nothing was left by it, and nothing had come since the one before
};

/// Routes libbpf's own messages; without it they go to stderr. Process-wide, as libbpf's callback is.
void set_libbpf_log(void (*log)(bool warning, std::string_view line));

}  // namespace hairpind
