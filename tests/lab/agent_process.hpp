// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "network_lab.hpp"

namespace hairpind::testing {

/// How many times longer than a healthy machine this one may take: an emulated one sets HAIRPIND_LAB_PATIENCE.
int patience();

/// Asks again and again until `condition` holds; false if it never does within a bound that no healthy machine
/// reaches.
bool eventually(const std::function<bool()>& condition, std::chrono::seconds bound = std::chrono::seconds(30));

/// The real binary, run in the lab's node namespace. Killed, if need be, when destroyed: one that has ended by itself
/// by then fails the test.
class AgentProcess {
 public:
  /// `arguments` follow "run"; --alerts is added, to a file, unless given. `resolv_conf`: a file that the agent sees
  /// as /etc/resolv.conf. `cgroup`: the cgroup.procs of one that it starts in.
  AgentProcess(const NetworkLab& lab, std::vector<std::string> arguments, const std::string& resolv_conf = "",
               const std::string& cgroup = "");
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  /// Waits for /readyz; false, with the agent's log in the test's output, if it never comes.
  [[nodiscard]] bool wait_until_ready() const;

  void send_signal(int signal) const;
  /// Waits for its end: the exit status, 128 + n for a signal, nullopt if it does not end.
  std::optional<int> wait_for_exit();

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] const std::string& directory() const { return directory_; }
  [[nodiscard]] std::string alerts_path() const { return directory_ + "/alerts.jsonl"; }
  /// Its resident memory now.
  [[nodiscard]] std::uint64_t resident_kib() const;
  [[nodiscard]] std::string standard_error() const;
  /// Waits for this in its log; false if it never comes.
  [[nodiscard]] bool logs(const std::string& text) const;
  [[nodiscard]] std::string standard_output() const;

  /// The alerts so far, without the packets that some are followed by; each line is checked against the schema.
  [[nodiscard]] std::vector<nlohmann::json> alerts() const;
  /// Those: asymmetric_handshake_evidence.
  [[nodiscard]] std::vector<nlohmann::json> evidence() const;
  /// Status and body of a GET on its HTTP address; status 0 if it does not answer.
  [[nodiscard]] std::pair<int, std::string> get(const std::string& path) const;
  /// One sample of /metrics by its full name with labels; 0 where there is none.
  [[nodiscard]] double metric(const std::string& series) const;
  /// The sum over all samples of a family.
  [[nodiscard]] double metric_sum(const std::string& name) const;
  /// All samples of one scrape of /metrics, by full name with labels; empty if it does not answer.
  [[nodiscard]] std::map<std::string, double> metrics() const;

 private:
  [[nodiscard]] std::vector<nlohmann::json> lines(bool evidence) const;

  const NetworkLab& lab_;
  std::string directory_;
  pid_t pid_ = -1;
};

std::string read_file(const std::string& path);

}  // namespace hairpind::testing
