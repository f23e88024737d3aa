// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/kernel_features.hpp"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <optional>

namespace hairpind {
namespace {

constexpr const char* kBtfPath = "/sys/kernel/btf/vmlinux";
// perf's kind of event for them, which libbpf attaches by.
constexpr const char* kKprobes = "/sys/bus/event_source/devices/kprobe/type";

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};
using Btf = std::unique_ptr<btf, BtfDeleter>;

Btf own(btf* types) {
  return Btf(libbpf_get_error(types) == 0 ? types : nullptr);
}

bool has_function(const btf* types, const char* name) {
  return types != nullptr && btf__find_by_name_kind(types, name, BTF_KIND_FUNC) > 0;
}

std::optional<std::uint32_t> enum_value(const btf* types, const char* enum_name, std::string_view name) {
  const int id = types == nullptr ? -1 : btf__find_by_name_kind(types, enum_name, BTF_KIND_ENUM);
  if (id < 0) {
    return std::nullopt;
  }
  const btf_type* const type = btf__type_by_id(types, static_cast<__u32>(id));
  const struct btf_enum* const values = btf_enum(type);
  for (unsigned i = 0; i < btf_vlen(type); i++) {
    if (name == btf__name_by_offset(types, values[i].name_off)) {
      return static_cast<std::uint32_t>(values[i].val);
    }
  }
  return std::nullopt;
}

// A raw tracepoint's arguments are those of its btf_trace_* prototype, after the context pointer.
unsigned tracepoint_arguments(const btf* types, const char* name) {
  const std::string symbol = "btf_trace_" + std::string(name);
  const int id = types == nullptr ? -1 : btf__find_by_name_kind(types, symbol.c_str(), BTF_KIND_TYPEDEF);
  if (id < 0) {
    return 0;
  }
  const btf_type* const pointer = btf__type_by_id(types, btf__type_by_id(types, static_cast<__u32>(id))->type);
  const btf_type* const prototype = pointer == nullptr ? nullptr : btf__type_by_id(types, pointer->type);
  return prototype == nullptr || !btf_is_func_proto(prototype) ? 0 : btf_vlen(prototype) - 1;
}

// A module's type information is found by id, which takes CAP_SYS_ADMIN.
bool has_conntrack_kfunc(btf* types, bool sys_admin) {
  if (has_function(types, "bpf_skb_ct_lookup")) {
    return true;
  }
  return sys_admin && has_function(own(btf__load_module_btf("nf_conntrack", types)).get(), "bpf_skb_ct_lookup");
}

std::uint64_t effective_capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) {
    return 0;
  }
  return data[0].effective | (static_cast<std::uint64_t>(data[1].effective) << 32U);
}

std::map<std::uint32_t, std::string> read_drop_reasons(const btf* types) {
  std::map<std::uint32_t, std::string> names;
  const int id = types == nullptr ? -1 : btf__find_by_name_kind(types, "skb_drop_reason", BTF_KIND_ENUM);
  if (id < 0) {
    return names;
  }
  constexpr std::string_view kPrefix = "SKB_DROP_REASON_";
  const btf_type* const type = btf__type_by_id(types, static_cast<__u32>(id));
  const struct btf_enum* const values = btf_enum(type);
  for (unsigned i = 0; i < btf_vlen(type); i++) {
    std::string_view name = btf__name_by_offset(types, values[i].name_off);
    if (name.starts_with(kPrefix)) {
      name.remove_prefix(kPrefix.size());
    }
    names.emplace(static_cast<std::uint32_t>(values[i].val), name);
  }
  return names;
}

}  // namespace

KernelFeatures KernelFeatures::probe() {
  // libbpf would look in other places too, and complain of each.
  const Btf types = access(kBtfPath, R_OK) == 0 ? own(btf__load_vmlinux_btf()) : nullptr;
  const std::uint64_t capabilities = effective_capabilities();
  const bool sys_admin = (capabilities & (1ULL << CAP_SYS_ADMIN)) != 0;
  const auto capable = [&](unsigned capability, bool or_sys_admin) {
    return (capabilities & (1ULL << capability)) != 0 || (or_sys_admin && sys_admin);
  };

  KernelFeatures result;
  result.features_ = {
      {Feature::kBtf, "btf", types != nullptr, true, "kernel type information (CONFIG_DEBUG_INFO_BTF)",
       "cannot run: use a kernel that has /sys/kernel/btf/vmlinux, and mount /sys in the container"},
      {Feature::kCapBpf, "cap_bpf", capable(CAP_BPF, true), true, "CAP_BPF: load programs and maps",
       "cannot run: start as root, or add CAP_BPF to the container"},
      {Feature::kCapNetAdmin, "cap_net_admin", capable(CAP_NET_ADMIN, false), true,
       "CAP_NET_ADMIN: attach to network devices", "cannot run: start as root, or add CAP_NET_ADMIN to the container"},
      {Feature::kCapPerfmon, "cap_perfmon", capable(CAP_PERFMON, true), true,
       "CAP_PERFMON: tracepoints and reads of kernel memory",
       "cannot run: start as root, or add CAP_PERFMON to the container"},
      {Feature::kRingBuffer, "ring_buffer", enum_value(types.get(), "bpf_map_type", "BPF_MAP_TYPE_RINGBUF").has_value(),
       true, "BPF ring buffer (5.8): events", "cannot run: use a kernel from 5.8 on"},
      {Feature::kTcx, "tcx", enum_value(types.get(), "bpf_attach_type", "BPF_TCX_INGRESS").has_value(), false,
       "TCX links (6.6): first in line beside other datapaths, gone with the process",
       "attached by clsact filters: they stay on the devices after SIGKILL, until the next start or 'tc filter del'"},
      {Feature::kConntrackKfunc, "conntrack_kfunc", has_conntrack_kfunc(types.get(), sys_admin), false,
       "bpf_skb_ct_lookup (5.18): is a reply one that this node translates?",
       "asked over ctnetlink instead, once a second and for handshakes in doubt only; where nf_conntrack is a module "
       "the "
       "function takes CAP_SYS_ADMIN, and the module loaded before the agent"},
      {Feature::kDropReasons, "drop_reasons", tracepoint_arguments(types.get(), "kfree_skb") >= 3, false,
       "kfree_skb with a reason (5.17): where and why packets die",
       "no outcome \"dropped\"; martian and rp_filter hairpins are told only after the handshake timeout, as ip "
       "target"},
      {Feature::kResetTracepoint, "reset_tracepoint", tracepoint_arguments(types.get(), "tcp_send_reset") >= 3, false,
       "tcp_send_reset with a reason (6.10): resets by any stack on the machine",
       "resets are told by another sensor, see the mode below"},
      {Feature::kKprobes, "kprobes", access(kKprobes, F_OK) == 0, false,
       "kprobes: resets by any stack, where no tracepoint tells of them", "nothing, where a tracepoint tells"},
      {Feature::kSweep, "sweep",
       enum_value(types.get(), "bpf_func_id", "BPF_FUNC_for_each_map_elem").has_value() &&
           enum_value(types.get(), "bpf_prog_type", "BPF_PROG_TYPE_SYSCALL").has_value(),
       false, "bpf_for_each_map_elem (5.13) in a syscall program (5.14): unanswered handshakes",
       "handshakes that nobody answers are not counted"},
  };
  for (FeatureStatus& status : result.features_) {
    const bool looked_up = status.feature != Feature::kBtf && status.feature != Feature::kCapBpf &&
                           status.feature != Feature::kCapNetAdmin && status.feature != Feature::kCapPerfmon &&
                           status.feature != Feature::kKprobes;
    status.known = types != nullptr || !looked_up;
  }
  result.drop_reasons_ = read_drop_reasons(types.get());
  return result;
}

KernelFeatures KernelFeatures::without(Feature feature) const {
  KernelFeatures reduced = *this;
  for (FeatureStatus& status : reduced.features_) {
    status.present = status.present && status.feature != feature;
  }
  return reduced;
}

bool KernelFeatures::has(Feature feature) const {
  for (const FeatureStatus& status : features_) {
    if (status.feature == feature) {
      return status.present;
    }
  }
  return false;
}

Result<void> KernelFeatures::check_required() const {
  std::string missing;
  for (const FeatureStatus& status : features_) {
    if (status.required && status.known && !status.present) {
      missing += (missing.empty() ? "" : "; ") + std::string(status.name) + ": " + std::string(status.without);
    }
  }
  if (!missing.empty()) {
    return fail("this kernel or this process lacks what hairpind needs: " + missing +
                " ('hairpind check' shows the whole table)");
  }
  return {};
}

std::string KernelFeatures::drop_reason_name(std::uint32_t reason) const {
  const auto found = drop_reasons_.find(reason);
  return found == drop_reasons_.end() ? std::string() : found->second;
}

std::string libbpf_version() {
  const std::string version = libbpf_version_string();
  return version.substr(version.find_first_of("0123456789"));
}

}  // namespace hairpind
