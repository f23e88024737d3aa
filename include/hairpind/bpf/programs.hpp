// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/bpf/counter_reader.hpp"
#include "hairpind/bpf/hook.hpp"
#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/bpf/kernel_memory.hpp"
#include "hairpind/bpf/reset_sensor.hpp"
#include "hairpind/core/error.hpp"

struct handshake_bpf;

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

/// The loaded BPF object: its programs, maps and variables, for those who run, write and read them.
///
/// Owns: everything in the kernel that is not on a device; the destructor detaches the tracepoints and frees it.
/// Called by: the event loop. Never runs a program and never reads or writes a map itself.
class Programs {
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
  static Result<std::unique_ptr<Programs>> load(const Options& options, const KernelFeatures& features);
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  [[nodiscard]] const LoadOutcome& outcome() const { return outcome_; }
  /// What the verifier made of each loaded program; empty on kernels that do not tell (before 5.16).
  [[nodiscard]] std::vector<ProgramCost> costs() const;
  /// What the maps take, as the kernel tells it (exact since 6.4).
  [[nodiscard]] KernelMemory memory() const;

  /// Of the object, and so with its life: descriptors, maps by name, variables.
  [[nodiscard]] int fd(Hook hook) const;
  [[nodiscard]] int map_fd(std::string_view name) const;
  [[nodiscard]] const handshake_bpf& object() const { return *skeleton_; }

  /// Where the counts are, for a CounterReader.
  [[nodiscard]] CounterReader::Maps counter_maps() const;

 private:
  explicit Programs(LoadedObject object);

  std::unique_ptr<handshake_bpf, SkeletonDeleter> skeleton_;
  LoadOutcome outcome_;
};

/// Routes libbpf's own messages; without it they go to stderr. Process-wide, as libbpf's callback is.
void set_libbpf_log(void (*log)(bool warning, std::string_view line));

}  // namespace hairpind
