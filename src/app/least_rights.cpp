// SPDX-License-Identifier: Apache-2.0
#include "least_rights.hpp"

#include <cap-ng.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <set>

#include "hairpind/core/error.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {
namespace {

constexpr auto kBoth = static_cast<capng_type_t>(CAPNG_EFFECTIVE | CAPNG_PERMITTED);

// As of now, whatever libcap-ng has been told before.
bool permitted(unsigned capability) {
  return capng_get_caps_process() == 0 && capng_have_capability(CAPNG_PERMITTED, capability) == 1;
}

std::set<unsigned> needed_capabilities(const RightsNeeded& needed) {
  // Devices: links, filters, ctnetlink.
  std::set<unsigned> kept{CAP_NET_ADMIN};
  // Where the one is not there, the agent has started by the other.
  kept.insert(permitted(CAP_BPF) ? CAP_BPF : CAP_SYS_ADMIN);
  if (needed.foreign_files) {
    kept.insert(CAP_DAC_READ_SEARCH);
  }
  std::erase_if(kept, [](unsigned capability) { return !permitted(capability); });
  return kept;
}

// `spare` may be taken up again.
bool keep_only(const std::set<unsigned>& kept, const std::set<unsigned>& spare) {
  capng_clear(CAPNG_SELECT_ALL);
  for (const unsigned capability : kept) {
    capng_update(CAPNG_ADD, kBoth, capability);
  }
  for (const unsigned capability : spare) {
    capng_update(CAPNG_ADD, CAPNG_PERMITTED, capability);
  }
  return capng_apply(CAPNG_SELECT_CAPS) == 0;
}

// Of what is executed; to lower it takes CAP_SETPCAP. Without it, no_new_privs does the same.
void lower_bounds(const std::set<unsigned>& kept) {
  for (unsigned capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    if (!kept.contains(capability)) {
      prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    }
  }
}

// By the capabilities in effect.
bool may(const std::string& name, int how) {
  return faccessat(AT_FDCWD, name.c_str(), how, AT_EACCESS) == 0;
}

// A file in another user's directory takes more than root has without them.
bool can_be_reopened(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path();
  return may(path, W_OK) && may(directory.empty() ? "." : directory, W_OK | X_OK);
}

bool can_be_read(const std::vector<std::string>& paths) {
  return std::ranges::all_of(paths, [](const std::string& path) { return may(path, R_OK); });
}

Result<void> lower_capabilities(const RightsNeeded& needed) {
  std::set<unsigned> kept = needed_capabilities(needed);
  std::set<unsigned> to_lower = kept;
  if (permitted(CAP_SETPCAP)) {
    to_lower.insert(CAP_SETPCAP);
  }
  std::set<unsigned> spare;
  if ((needed.alerts != "-" || !needed.read_again.empty()) && permitted(CAP_DAC_OVERRIDE)) {
    spare.insert(CAP_DAC_OVERRIDE);
  }
  if (!needed.read_again.empty() && permitted(CAP_DAC_READ_SEARCH)) {
    spare.insert(CAP_DAC_READ_SEARCH);
  }
  bool lowered = keep_only(to_lower, spare);
  const auto take_up = [&](unsigned capability) {
    if (lowered && spare.contains(capability)) {
      kept.insert(capability);
    }
  };
  if (needed.alerts != "-" && !can_be_reopened(needed.alerts)) {
    take_up(CAP_DAC_OVERRIDE);
  }
  // The lesser one, where it is to be had; who may write everywhere may read, too.
  if (!kept.contains(CAP_DAC_OVERRIDE) && !can_be_read(needed.read_again)) {
    take_up(spare.contains(CAP_DAC_READ_SEARCH) ? CAP_DAC_READ_SEARCH : CAP_DAC_OVERRIDE);
  }
  lower_bounds(kept);
  lowered = lowered && keep_only(kept, {});
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  return lowered ? Result<void>() : fail_errno("give up capabilities", errno);
}

// Each takes over a machine or another process, changes what everybody runs, or digs in the kernel; none is anything
// that a loaded agent, or a plugin that asks a cloud for a token, ever calls. What is not here is allowed: another libc
// or kernel may call something new at any time, and an agent that fails by it is worth less than the difference.
constexpr std::array kNeverCalled{
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(kcmp),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(move_mount),
    SCMP_SYS(open_tree),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(acct),
    SCMP_SYS(quotactl),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(vhangup),
    SCMP_SYS(syslog),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(fanotify_init),
};
// What is loaded is loaded.
constexpr std::array<scmp_datum_t, 3> kBpfNeverCalled{BPF_PROG_LOAD, BPF_MAP_CREATE, BPF_BTF_LOAD};

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

// SCMP_A0 is C.
constexpr scmp_arg_cmp first_argument(scmp_compare compare, scmp_datum_t value, scmp_datum_t masked = 0) {
  return {.arg = 0, .op = compare, .datum_a = value, .datum_b = masked};
}

Result<void> refuse_calls(const RightsNeeded& needed) {
  const std::uint32_t refused = SCMP_ACT_ERRNO(EPERM);
  const std::unique_ptr<void, FilterDeleter> filter(seccomp_init(SCMP_ACT_ALLOW));
  if (!filter) {
    return fail("no memory");
  }
  // Refused, not killed: who debugs it finds a reason, and the kernel's audit log the call.
  int error = 0;
  const auto set = [&](scmp_filter_attr attribute, std::uint32_t value) {
    error = error != 0 ? error : seccomp_attr_set(filter.get(), attribute, value);
  };
  const auto add = [&](int call, auto... arguments) {
    error = error != 0 ? error : seccomp_rule_add(filter.get(), refused, call, sizeof...(arguments), arguments...);
  };
  set(SCMP_FLTATR_CTL_NNP, 1);
  set(SCMP_FLTATR_CTL_TSYNC, 1);
  set(SCMP_FLTATR_CTL_LOG, 1);
  set(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a tree, not a list
  // By another calling convention all would be allowed.
  set(SCMP_FLTATR_ACT_BADARCH, refused);
  for (const int call : kNeverCalled) {
    add(call);
  }
  for (const scmp_datum_t command : kBpfNeverCalled) {
    add(SCMP_SYS(bpf), first_argument(SCMP_CMP_EQ, command));
  }
  add(SCMP_SYS(clone), first_argument(SCMP_CMP_MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER));
  if (!needed.programs) {
    add(SCMP_SYS(execve));
    add(SCMP_SYS(execveat));
  }
  error = error != 0 ? error : seccomp_load(filter.get());
  return error == 0 ? Result<void>() : fail_errno("refuse system calls by a seccomp filter", error);
}

}  // namespace

RightsNeeded rights_needed(const Configuration& configuration) {
  RightsNeeded needed{.alerts = configuration.alerts};
  if (!configuration.tls_cert_file.empty()) {
    needed.read_again = {configuration.tls_cert_file, configuration.tls_key_file};
  }
  if (!configuration.kubeconfig.empty()) {
    needed.foreign_files = true;
    // Where it cannot be read the start ends by that, with its own words.
    const auto access = kubeconfig_access({configuration.kubeconfig});
    needed.programs = access && access->exec;
  }
  return needed;
}

std::string describe(const RightsLeft& left) {
  std::string text = std::string("rights after the start: ") + (left.capabilities.empty() ? "none" : "");
  for (const std::string& capability : left.capabilities) {
    text += capability + (&capability == &left.capabilities.back() ? "" : ", ");
  }
  text += left.no_new_privs ? "; no_new_privs" : "; more by what it executes";
  return text + (left.calls_refused ? "; system calls of intruders are refused" : "; any system call");
}

RightsLeft give_up_rights(const RightsNeeded& needed) {
  RightsLeft left;
  if (auto lowered = lower_capabilities(needed); !lowered) {
    left.lost.push_back(lowered.error().message + "; the agent keeps them all");
  }
  // Without a filter, too.
  left.no_new_privs = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  if (!left.no_new_privs) {
    left.lost.push_back(fail_errno("set no_new_privs", errno).error().message);
  }
  auto filtered = refuse_calls(needed);
  left.calls_refused = filtered.has_value();
  if (!filtered) {
    left.lost.push_back(filtered.error().message + "; the agent may call what it likes");
  }
  capng_get_caps_process();
  for (unsigned capability = 0; capability <= CAP_LAST_CAP; capability++) {
    if (capng_have_capability(CAPNG_EFFECTIVE, capability) == 1) {
      left.capabilities.push_back("cap_" + std::string(capng_capability_to_name(capability)));
    }
  }
  return left;
}

}  // namespace hairpind
