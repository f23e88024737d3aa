// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/bpf/reset_sensor.hpp"
#include "hairpind/bpf/tc_link.hpp"
#include "hairpind/core/address.hpp"
#include "hairpind/core/conntrack.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/frontend.hpp"
#include "hairpind/core/incident_tracker.hpp"

struct handshake_bpf;
struct ring_buffer;

namespace hairpind {

struct LoadedObject;
struct SkeletonDeleter {
  void operator()(handshake_bpf* skeleton) const;
};

/// Where a TC program sits (DESIGN: sensors). The names are those of the BPF programs and of the `hook` label.
enum class Hook : std::uint8_t { kFromPod, kToPod, kFromNet, kToNet };
inline constexpr std::array kAllHooks{Hook::kFromPod, Hook::kToPod, Hook::kFromNet, Hook::kToNet};
std::string_view to_string(Hook hook);

enum class DeviceRole : std::uint8_t { kPod = HP_DEVICE_POD, kUplink = HP_DEVICE_UPLINK };

struct Device {
  std::uint32_t ifindex = 0;
  DeviceRole role = DeviceRole::kPod;
  std::uint32_t master_ifindex = 0;  ///< bridge it is a port of, 0 if none

  auto operator<=>(const Device&) const = default;
};

/// Handshake counters of one load-balancer endpoint, since the agent started. The empty endpoint collects
/// what did not fit into the table.
struct LoadBalancerCounters {
  Endpoint load_balancer;
  hp_lb_counters counters{};
};

/// A local client that has sent a SYN to a load balancer.
struct Caller {
  IpAddress client;
  Endpoint load_balancer;
  MonotonicTime last{};
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
/// Threads: the read_* functions only make system calls and may be called from any thread; all else belongs to the
/// event loop.
class Datapath {
 public:
  struct Options {
    std::uint32_t pending_syns = 65536;  ///< size of the table of attempts
    std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(3);
    std::uint32_t ring_bytes = 1U << 20U;  ///< power of two, at least a page
    bool prefixes = false;                 ///< a Frontend with a prefix will be set
    AttachMode attach_mode = AttachMode::kTcx;
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

  /// Puts the two programs of the device's role on it. A device that has vanished is no error: the result is
  /// false. Attaching one that is attached already only updates its master.
  Result<bool> attach(const Device& device);
  /// For a device that left or changed its role; unknown ones are ignored.
  void detach(std::uint32_t ifindex);
  [[nodiscard]] const std::map<std::uint32_t, Device>& attached() const { return devices_; }
  /// Whether both programs of an attached device are where attaching put them (TcLink::first_in_line).
  [[nodiscard]] Result<bool> first_in_line(std::uint32_t ifindex) const;

  /// Replaces the set of load balancers, by differences: what stays is never absent in between.
  Result<void> set_frontends(const std::set<Frontend>& frontends);
  /// The same for what has changed, at a cost that does not depend on how many there are. What is to be added and is
  /// there already, or to be removed and is not, is ignored. After an error the set is taken for what it was.
  Result<void> change_frontends(const std::vector<Frontend>& added, const std::vector<Frontend>& removed);
  Result<void> set_node_addresses(const std::set<IpAddress>& addresses);

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
  /// The answer to such a question; ignored if the attempt has been decided or forgotten since.
  [[nodiscard]] Result<void> set_conntrack(const Attempt& asked, const ConntrackAnswer& answer) const;

  [[nodiscard]] Result<std::vector<LoadBalancerCounters>> read_load_balancers() const;
  [[nodiscard]] Result<std::vector<IncidentCount>> read_incidents() const;
  [[nodiscard]] std::optional<std::uint64_t> read_incident_count(const IncidentKey& key) const;
  /// A restart of the count: for incidents long idle, so that the table never fills for good.
  void forget_incident(const IncidentKey& key) const;
  /// Which local clients have called which load balancer since the agent started.
  [[nodiscard]] Result<std::vector<Caller>> read_callers() const;
  /// Sums over the CPUs, by enum hp_total.
  [[nodiscard]] std::array<std::uint64_t, HP_TOTAL_COUNT> read_totals() const;

  /// The kernel's id of an attached program, for tests that look for leftovers.
  [[nodiscard]] int program_fd(Hook hook) const;

 private:
  struct RingDeleter {
    void operator()(ring_buffer* ring) const;
  };

  Datapath(LoadedObject object, AttachMode attach_mode);
  /// Brings the kernel's maps in line with frontends_, where these have just come and gone.
  [[nodiscard]] Result<void> write_frontends(const std::vector<Frontend>& added,
                                             const std::vector<Frontend>& removed) const;
  static int on_record(void* context, void* data, std::size_t size);

  std::unique_ptr<handshake_bpf, SkeletonDeleter> skeleton_;
  LoadOutcome outcome_;
  AttachMode attach_mode_;
  std::unique_ptr<ring_buffer, RingDeleter> ring_;
  std::map<std::uint32_t, Device> devices_;
  std::map<std::uint32_t, std::array<TcLink, 2>> links_;
  std::set<Frontend> frontends_;
  std::vector<std::uint32_t> filter_uses_ = std::vector<std::uint32_t>(HP_ADDRESS_FILTER_BITS);  ///< of each bit
  std::set<IpAddress> node_addresses_;
  const RecordHandler* handler_ = nullptr;  ///< set during poll
  std::uint32_t swept_changed_ = 0;         ///< attempts_changed (bpf/attempt_table.h) at the last sweep
  bool swept_clean_ = true;                 ///< nothing was left by it, and nothing had come since the one before
};

/// Routes libbpf's own messages; without it they go to stderr. Process-wide, as libbpf's callback is.
void set_libbpf_log(void (*log)(bool warning, std::string_view line));

}  // namespace hairpind
