// SPDX-License-Identifier: Apache-2.0
#include "network_lab.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind::testing {
namespace {

const std::string kScript = HAIRPIND_SOURCE_DIR "/tests/lab/lab.sh";
constexpr int kSkipped = 77;

int lab_script(const std::vector<std::string>& arguments) {
  std::vector<std::string> command{"env", "HAIRPIND_LAB_BINARIES=" HAIRPIND_LAB_BINARIES, kScript};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run_command(command);
}

}  // namespace

int run_command(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  pid_t pid = 0;
  if (posix_spawnp(&pid, arguments[0], nullptr, nullptr, arguments.data(), environ) != 0) {
    return 127;
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

NetworkLab::NetworkLab(const std::string& datapath, const std::string& mode) {
  static std::atomic<char> letter = 'a';
  prefix_ = "hpt" + std::to_string(getpid()) + letter++;
  if (geteuid() != 0) {
    unavailable_ = "the lab needs root for network namespaces";
    return;
  }
  const int status = lab_script({"up", prefix_, datapath, mode});
  if (status == kSkipped) {
    unavailable_ = "this kernel lacks what the datapath '" + datapath + "' needs (lab.sh says what, above)";
  } else if (status != 0) {
    unavailable_ = "lab.sh could not build the lab (its messages are above)";
  }
}

NetworkLab::~NetworkLab() {
  if (unavailable_.empty()) {
    lab_script({"down", prefix_});
  }
}

void NetworkLab::set_mode(const std::string& mode) const {
  ASSERT_EQ(lab_script({"mode", prefix_, mode}), 0) << mode;
}

void NetworkLab::detach_datapath() const {
  ASSERT_EQ(lab_script({"detach", prefix_}), 0);
}

void NetworkLab::attach_datapath() const {
  ASSERT_EQ(lab_script({"attach", prefix_}), 0);
}

std::string NetworkLab::pins() const {
  const char* const temporary = std::getenv("TMPDIR");
  return std::string(temporary == nullptr ? "/tmp" : temporary) + "/hairpind-lab-" + prefix_ + "/bpf";
}

void NetworkLab::inside(const std::string& name, const std::function<void()>& work) const {
  std::thread([&] {
    const FileDescriptor target(open(("/run/netns/" + namespace_name(name)).c_str(), O_RDONLY | O_CLOEXEC));
    // The thread's own namespace; it ends with the thread.
    ASSERT_EQ(setns(target.get(), CLONE_NEWNET), 0) << name;
    work();
  }).join();
}

void NetworkLab::ip(const std::string& name, const std::vector<std::string>& arguments) const {
  std::vector<std::string> command{"ip", "-n", namespace_name(name)};
  command.insert(command.end(), arguments.begin(), arguments.end());
  ASSERT_EQ(run_command(command), 0) << ::testing::PrintToString(command);
}

}  // namespace hairpind::testing
