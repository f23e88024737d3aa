// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fault.hpp"
#include "hairpind/core/conntrack.hpp"
#include "hairpind/net/cilium_conntrack.hpp"
#include "hairpind/net/ctnetlink.hpp"

namespace hairpind {

/// A conntrack table that can be asked; empty where there is none.
using ConntrackLookup = std::function<Result<Conntrack>(const ConntrackQuery&)>;

/// Who is asked about an attempt, and whose answer counts: netfilter's table, then Cilium's where that may know more.
class ConntrackInquiry {
 public:
  ConntrackAnswer ask(const Attempt& attempt, const ConntrackLookup& netlink, const ConntrackLookup& cilium);

 private:
  Fault asking_netlink_;
  Fault asking_cilium_;
};

/// The veto (S5) as far as it is asked for in userspace: netfilter by ctnetlink where the kernel side cannot ask, and
/// Cilium's own table where there is one, since no entry in netfilter is not the last word there.
class ConntrackBackends {
 public:
  struct Options {
    bool kernel = false;        ///< the BPF programs ask netfilter themselves
    bool await_module = false;  ///< they would, had nf_conntrack been loaded when they were
    std::string cilium_bpffs;   ///< empty = the usual places
  };
  explicit ConntrackBackends(const Options& options);

  /// Once a tick: follows Cilium's maps as they come, go and are replaced, and waits for nf_conntrack. Says so in the
  /// log.
  void refresh();
  /// Is there anything to ask in userspace?
  [[nodiscard]] bool beside_cilium() const { return cilium_.present(); }
  [[nodiscard]] bool available() const { return netlink_ || cilium_.present(); }
  /// What is known of `attempt`, asking whoever has not been. kUnchecked if nobody could tell.
  ConntrackAnswer ask(const Attempt& attempt);
  /// "kernel", "netlink", "kernel and cilium": for the log and `hairpind check`.
  [[nodiscard]] std::string describe() const;

 private:
  ConntrackLookup netlink_;  ///< none where the kernel side asks
  CiliumConntrack cilium_;
  std::string named_bpffs_;  ///< until it has been looked at
  bool await_module_;        ///< until it has come
  ConntrackInquiry inquiry_;
};

}  // namespace hairpind
