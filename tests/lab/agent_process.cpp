// SPDX-License-Identifier: Apache-2.0
#include "agent_process.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "alert_schema.hpp"

namespace hairpind::testing {
int patience() {
  const char* const factor = std::getenv("HAIRPIND_LAB_PATIENCE");
  return factor == nullptr ? 1 : std::atoi(factor);
}

bool eventually(const std::function<bool()>& condition, std::chrono::seconds bound) {
  const auto deadline = std::chrono::steady_clock::now() + (patience() * bound);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

std::string read_file(const std::string& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

AgentProcess::AgentProcess(const NetworkLab& lab, std::vector<std::string> arguments, const std::string& resolv_conf,
                           const std::string& cgroup)
    : lab_(lab) {
  std::string directory = "/tmp/hairpind-agent-XXXXXX";
  directory_ = mkdtemp(directory.data());
  if (std::ranges::find(arguments, "--alerts") == arguments.end()) {
    arguments.insert(arguments.end(), {"--alerts", alerts_path()});
  }
  // Another build of it: the same test under a sanitizer.
  const char* const built_otherwise = std::getenv("HAIRPIND_LAB_AGENT");
  arguments.insert(arguments.begin(), {built_otherwise != nullptr ? built_otherwise : HAIRPIND_BINARY, "run"});
  // Words of a command that starts it, such as setpriv: the same tests with fewer capabilities (tests/vm/).
  if (const char* const starter = std::getenv("HAIRPIND_LAB_STARTER"); starter != nullptr) {
    std::istringstream words(starter);
    arguments.insert(arguments.begin(), std::istream_iterator<std::string>(words), {});
  }
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) {
    argv.push_back(argument.data());
  }
  argv.push_back(nullptr);
  const std::string network = "/run/netns/" + lab.namespace_name("node");
  const std::string out = directory_ + "/stdout";
  const std::string err = directory_ + "/stderr";
  pid_ = fork();
  if (pid_ == 0) {
    // Only calls that are safe between fork and exec.
    const int target = open(network.c_str(), O_RDONLY | O_CLOEXEC);
    const int out_fd = open(out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_fd = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (setns(target, CLONE_NEWNET) != 0 || dup2(out_fd, 1) < 0 || dup2(err_fd, 2) < 0) {
      _exit(126);
    }
    // In a mount namespace of its own, as `ip netns exec` does it.
    if (!resolv_conf.empty() && (unshare(CLONE_NEWNS) != 0 || mount("", "/", "none", MS_SLAVE | MS_REC, nullptr) != 0 ||
                                 mount(resolv_conf.c_str(), "/etc/resolv.conf", "none", MS_BIND, nullptr) != 0)) {
      _exit(125);
    }
    if (!cgroup.empty()) {
      const int processes = open(cgroup.c_str(), O_WRONLY | O_CLOEXEC);
      if (write(processes, "0", 1) != 1) {
        _exit(124);
      }
    }
    execvp(argv[0], argv.data());
    _exit(127);
  }
}

AgentProcess::~AgentProcess() {
  int status = 0;
  if (pid_ > 0 && waitpid(pid_, &status, WNOHANG) == pid_) {
    ADD_FAILURE() << "the agent ended by itself, "
                  << (WIFSIGNALED(status) ? std::string("by SIG") + sigabbrev_np(WTERMSIG(status))
                                          : "with status " + std::to_string(WEXITSTATUS(status)))
                  << ":\n"
                  << standard_error();
  } else if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  std::filesystem::remove_all(directory_);
}

bool AgentProcess::wait_until_ready() const {
  const bool ready = eventually([&] { return get("/readyz").first == 200; });
  if (!ready) {
    ADD_FAILURE() << "the agent did not become ready:\n" << standard_error();
  }
  return ready;
}

void AgentProcess::send_signal(int signal) const {
  kill(pid_, signal);
}

std::optional<int> AgentProcess::wait_for_exit() {
  int status = 0;
  if (!eventually([&] { return waitpid(pid_, &status, WNOHANG) == pid_; })) {
    return std::nullopt;
  }
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::uint64_t AgentProcess::resident_kib() const {
  const std::string status = read_file("/proc/" + std::to_string(pid_) + "/status");
  return std::stoull(status.substr(status.find("VmRSS:") + 6));
}

bool AgentProcess::logs(const std::string& text) const {
  return eventually([&] { return standard_error().find(text) != std::string::npos; });
}

std::string AgentProcess::standard_error() const {
  return read_file(directory_ + "/stderr");
}

std::string AgentProcess::standard_output() const {
  return read_file(directory_ + "/stdout");
}

std::vector<nlohmann::json> AgentProcess::alerts() const {
  return lines(false);
}

std::vector<nlohmann::json> AgentProcess::evidence() const {
  return lines(true);
}

std::vector<nlohmann::json> AgentProcess::lines(bool evidence) const {
  std::vector<nlohmann::json> wanted;
  std::istringstream all(read_file(alerts_path()));
  // What is behind the last newline is being written.
  for (std::string line; std::getline(all, line) && !all.eof();) {
    EXPECT_EQ(schema_violations(line), "") << line;
    auto alert = nlohmann::json::parse(line, nullptr, false);
    if ((alert.is_object() && alert.value("event", "") == "asymmetric_handshake_evidence") == evidence) {
      wanted.push_back(std::move(alert));
    }
  }
  return wanted;
}

std::pair<int, std::string> AgentProcess::get(const std::string& path) const {
  std::pair<int, std::string> result{0, ""};
  lab_.inside("node", [&] {
    httplib::Client client("127.0.0.1", 9477);
    if (const auto response = client.Get(path)) {
      result = {response->status, response->body};
    }
  });
  return result;
}

std::map<std::string, double> AgentProcess::metrics() const {
  std::map<std::string, double> samples;
  std::istringstream lines(get("/metrics").second);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t space = line.rfind(' ');
    if (!line.starts_with('#') && space != std::string::npos) {
      samples[line.substr(0, space)] = std::stod(line.substr(space + 1));
    }
  }
  return samples;
}

double AgentProcess::metric(const std::string& series) const {
  const auto samples = metrics();
  const auto found = samples.find(series);
  return found == samples.end() ? 0 : found->second;
}

double AgentProcess::metric_sum(const std::string& name) const {
  double sum = 0;
  for (const auto& [series, value] : metrics()) {
    if (series == name || series.starts_with(name + "{")) {
      sum += value;
    }
  }
  return sum;
}

}  // namespace hairpind::testing
