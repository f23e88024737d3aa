// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace hairpind::testing {

/// Runs a command, found in PATH; its output goes to this process's. Returns its exit status, 128 + n for a signal.
int run_command(const std::vector<std::string>& command);

/// The namespaces of tests/lab/lab.sh under a prefix of its own; removed when destroyed. A process may have several.
class NetworkLab {
 public:
  /// `datapath` and `mode` are of lab.sh's.
  explicit NetworkLab(const std::string& datapath = "routed", const std::string& mode = "ip-target");
  ~NetworkLab();
  NetworkLab(const NetworkLab&) = delete;
  NetworkLab& operator=(const NetworkLab&) = delete;

  /// Why there is no lab (not root, a tool missing), or empty.
  [[nodiscard]] const std::string& unavailable() const { return unavailable_; }

  /// What the load balancer and the node do from now on: a mode of lab.sh.
  void set_mode(const std::string& mode) const;

  /// The redirect datapaths' BPF programs: takes them off, puts them on again.
  void detach_datapath() const;
  void attach_datapath() const;
  /// Where the redirect datapaths' programs and maps are pinned.
  [[nodiscard]] std::string pins() const;

  /// "node", "p1", "p2", "p3", "net", "lb" -> the namespace's full name.
  [[nodiscard]] std::string namespace_name(const std::string& name) const { return prefix_ + "-" + name; }
  /// Runs `work` in a thread of its own inside that namespace and waits for it.
  void inside(const std::string& name, const std::function<void()>& work) const;
  /// `ip -n <namespace> ...`; fails the test if the command fails.
  void ip(const std::string& name, const std::vector<std::string>& arguments) const;

 private:
  std::string prefix_;
  std::string unavailable_;
};

}  // namespace hairpind::testing
