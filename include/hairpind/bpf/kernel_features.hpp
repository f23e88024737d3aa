// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Something the agent wants of the kernel, or of its own privileges.
enum class Feature : std::uint8_t {
  kBtf,              ///< /sys/kernel/btf/vmlinux: CO-RE and typed tracepoints
  kCapBpf,           ///< CAP_BPF (or CAP_SYS_ADMIN): load programs and maps
  kCapNetAdmin,      ///< CAP_NET_ADMIN: attach to network devices
  kCapPerfmon,       ///< CAP_PERFMON: tracepoints, kernel memory reads
  kRingBuffer,       ///< BPF_MAP_TYPE_RINGBUF, 5.8
  kTcx,              ///< TCX links, 6.6
  kConntrackKfunc,   ///< bpf_skb_ct_lookup, 5.18, where nf_conntrack is loaded
  kDropReasons,      ///< kfree_skb tells the reason, 5.17
  kResetTracepoint,  ///< tcp_send_reset tells the packet, and of those without a socket, 6.10
  kKprobes,          ///< probes on kernel functions
  kSweep,            ///< bpf_for_each_map_elem (5.13) in a syscall program (5.14)
};

struct FeatureStatus {
  Feature feature = Feature::kBtf;
  std::string_view name;  ///< "tcx": metric label and first column of `hairpind check`
  bool present = false;
  bool required = false;     ///< without it the agent cannot run
  std::string_view gives;    ///< what it is for
  std::string_view without;  ///< what is lost, and what to do
  bool known = true;         ///< false: could not be asked (no BTF to look it up in); `present` is then false
};

/// What this kernel and this process have. Loading is decided by this table alone, never by version.
class KernelFeatures {
 public:
  /// Asks the kernel's BTF, the bpf() system call and the process's capabilities. Attaches nothing.
  static KernelFeatures probe();
  /// The same table with one feature taken for absent: how a degraded mode is tried on a kernel that has it.
  [[nodiscard]] KernelFeatures without(Feature feature) const;

  [[nodiscard]] const std::vector<FeatureStatus>& all() const { return features_; }
  [[nodiscard]] bool has(Feature feature) const;
  /// Fails, naming each, if something required is missing.
  [[nodiscard]] Result<void> check_required() const;
  /// This kernel's name of a drop reason without its prefix ("NETFILTER_DROP"), empty if unknown.
  [[nodiscard]] std::string drop_reason_name(std::uint32_t reason) const;

 private:
  std::vector<FeatureStatus> features_;
  std::map<std::uint32_t, std::string> drop_reasons_;
};

/// Of the library as loaded, "1.1.2".
std::string libbpf_version();

}  // namespace hairpind
