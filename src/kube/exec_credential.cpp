// SPDX-License-Identifier: Apache-2.0
#include "exec_credential.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"
#include "json_reading.hpp"
#include "tcp_connect.hpp"

// NOLINTNEXTLINE(readability-redundant-declaration): POSIX's name for it; not every unistd.h declares it
extern char** environ;

namespace hairpind {
namespace {

using Json = nlohmann::json;
using Deadline = std::chrono::steady_clock::time_point;

constexpr std::chrono::seconds kPatience{30};
constexpr std::size_t kLongestOutput = 1U << 20U;

std::string name_of(const ExecPlugin& plugin) {
  return "credential plugin '" + plugin.command + "'";
}

std::string question(const ExecPlugin& plugin, bool interactive) {
  Json spec = {{"interactive", interactive}};
  if (!plugin.cluster.empty()) {
    spec["cluster"] = Json::parse(plugin.cluster, nullptr, false);
  }
  return Json{{"apiVersion", plugin.api_version}, {"kind", "ExecCredential"}, {"spec", spec}}.dump();
}

/// Readable once the process has ended. Not glibc's pidfd_open: that of 2.36 cannot be linked from C++.
int open_process(pid_t pid) {
  return static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
}

/// All that comes before the end; nullopt if it does not end in time, or is endless.
std::optional<std::string> read_all(int fd, Deadline deadline, int stop) {
  std::string text;
  std::array<char, 4096> piece{};
  while (text.size() < kLongestOutput) {
    if (!wait_for(fd, POLLIN, deadline, stop)) {
      return std::nullopt;
    }
    const ssize_t got = read(fd, piece.data(), piece.size());
    if (got == 0) {
      return text;
    }
    if (got > 0) {
      text.append(piece.data(), static_cast<std::size_t>(got));
    } else if (errno != EINTR && errno != EAGAIN) {
      return std::nullopt;
    }
  }
  return std::nullopt;
}

/// This process's, but for what the plugin is given.
std::vector<std::string> environment_of(const ExecPlugin& plugin, bool interactive) {
  std::vector<std::string> environment = plugin.environment;
  environment.push_back("KUBERNETES_EXEC_INFO=" + question(plugin, interactive));
  const auto name_of_variable = [](std::string_view variable) { return variable.substr(0, variable.find('=')); };
  const std::size_t given = environment.size();
  for (char** variable = environ; *variable != nullptr; variable++) {
    const auto own = std::span(environment).first(given);
    if (std::ranges::none_of(
            own, [&](const std::string& each) { return name_of_variable(each) == name_of_variable(*variable); })) {
      environment.emplace_back(*variable);
    }
  }
  return environment;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) {
    pointers.push_back(text.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

/// What a process is given at its start, freed in any case.
struct SpawnSettings {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};

  SpawnSettings() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

Result<pid_t> spawn(const ExecPlugin& plugin, int output, bool interactive) {
  SpawnSettings settings;
  posix_spawn_file_actions_adddup2(&settings.files, output, STDOUT_FILENO);
  if (!interactive) {
    posix_spawn_file_actions_addopen(&settings.files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  // Signals as any program expects them: the agent has blocked some and ignores one.
  sigset_t none;
  sigset_t defaults;
  sigemptyset(&none);
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  posix_spawnattr_setsigmask(&settings.attributes, &none);
  posix_spawnattr_setsigdefault(&settings.attributes, &defaults);
  posix_spawnattr_setflags(&settings.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  std::vector<std::string> arguments{plugin.command};
  arguments.insert(arguments.end(), plugin.arguments.begin(), plugin.arguments.end());
  std::vector<std::string> environment = environment_of(plugin, interactive);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, plugin.command.c_str(), &settings.files, &settings.attributes,
                                 pointers_to(arguments).data(), pointers_to(environment).data());
  if (error != 0) {
    const std::string hint = plugin.install_hint.empty() ? "" : "; " + plugin.install_hint;
    return fail(fail_errno("run " + name_of(plugin), error).error().message + hint);
  }
  return pid;
}

}  // namespace

std::optional<std::chrono::sys_seconds> parse_time(const std::string& text) {
  std::tm parts{};
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (end == nullptr) {
    return std::nullopt;
  }
  // Fractions of a second are nothing to us; an offset from UTC is.
  if (*end == '.') {
    end++;
    while (*end >= '0' && *end <= '9') {
      end++;
    }
  }
  std::chrono::seconds offset{0};
  if (const std::string zone = end; zone != "Z") {
    std::tm shift{};
    if (zone.size() != 6 || (zone[0] != '+' && zone[0] != '-') ||
        strptime(zone.c_str() + 1, "%H:%M", &shift) == nullptr) {
      return std::nullopt;
    }
    offset = std::chrono::hours(shift.tm_hour) + std::chrono::minutes(shift.tm_min);
    offset = zone[0] == '-' ? -offset : offset;
  }
  return std::chrono::sys_seconds(std::chrono::seconds(timegm(&parts)) - offset);
}

Result<ExecCredential> parse_exec_credential(const ExecPlugin& plugin, const std::string& output) {
  const Json answer = parse_object(output).value_or(Json());
  if (text_at(answer, "/kind") != "ExecCredential") {
    return fail(name_of(plugin) + ": its output is no ExecCredential");
  }
  if (const std::string version = text_at(answer, "/apiVersion"); version != plugin.api_version) {
    return fail(name_of(plugin) + ": it answers with apiVersion '" + version + "', the kubeconfig asks for '" +
                plugin.api_version + "'");
  }
  ExecCredential credential{.token = text_at(answer, "/status/token"),
                            .certificate_pem = text_at(answer, "/status/clientCertificateData"),
                            .key_pem = text_at(answer, "/status/clientKeyData"),
                            .expires = parse_time(text_at(answer, "/status/expirationTimestamp"))};
  if (credential.token.empty() && credential.certificate_pem.empty()) {
    return fail(name_of(plugin) + ": it hands out neither a token nor a certificate");
  }
  if (credential.certificate_pem.empty() != credential.key_pem.empty()) {
    return fail(name_of(plugin) + ": it hands out a certificate without its key, or a key alone");
  }
  return credential;
}

Result<ExecCredential> run_plugin(const ExecPlugin& plugin, int stop) {
  const bool terminal = isatty(STDIN_FILENO) == 1;
  if (plugin.interactive == ExecPlugin::Interactive::kAlways && !terminal) {
    return fail(name_of(plugin) + ": it wants to ask somebody (interactiveMode Always), and there is no terminal");
  }
  const bool interactive = terminal && plugin.interactive != ExecPlugin::Interactive::kNever;
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) {
    return fail_errno("open a pipe for " + name_of(plugin), errno);
  }
  const FileDescriptor output(ends[0]);
  FileDescriptor input(ends[1]);
  const auto pid = spawn(plugin, input.get(), interactive);
  if (!pid) {
    return std::unexpected(pid.error());
  }
  input = FileDescriptor();
  const Deadline deadline = std::chrono::steady_clock::now() + kPatience;
  auto text = read_all(output.get(), deadline, stop);
  // It may have closed its output and go on.
  if (const FileDescriptor ended(open_process(*pid)); !text || !wait_for(ended.get(), POLLIN, deadline, stop)) {
    text.reset();
    kill(*pid, SIGKILL);
  }
  int status = 0;
  while (waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!text) {
    return fail(name_of(plugin) + ": no end of it within " + std::to_string(kPatience.count()) +
                " s, or of its output");
  }
  if (status != 0) {
    return fail(name_of(plugin) + ": it failed, with " +
                (WIFEXITED(status) ? "exit status " + std::to_string(WEXITSTATUS(status))
                                   : "signal " + std::to_string(WTERMSIG(status))));
  }
  return parse_exec_credential(plugin, *text);
}

}  // namespace hairpind
