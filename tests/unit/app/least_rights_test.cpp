// SPDX-License-Identifier: Apache-2.0
#include "least_rights.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

namespace hairpind {
namespace {

// Rights do not come back: each test gives them up in a process of its own. `refuted` returns what is wrong.
void in_a_child(const std::function<std::string()>& refuted) {
  std::array<int, 2> ends{};
  ASSERT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string wrong = refuted();
    const bool told = write(ends[1], wrong.data(), wrong.size()) == static_cast<ssize_t>(wrong.size());
    _exit(told ? 0 : 1);
  }
  close(ends[1]);
  std::array<char, 1024> text{};
  const ssize_t got = read(ends[0], text.data(), text.size());
  close(ends[0]);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))), "");
}

bool refused(long result) {
  return result == -1 && errno == EPERM;
}

long execute(const char* program) {
  std::array<char*, 2> arguments{const_cast<char*>(program), nullptr};
  return execve(program, arguments.data(), arguments.data() + 1);
}

std::string wrong_with_calls() {
  std::string wrong;
  const auto must = [&wrong](bool holds, const char* what) { wrong += holds ? "" : std::string(what) + "; "; };
  must(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1, "no_new_privs");
  must(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2, "seccomp");
  must(refused(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)), "ptrace");
  // Root's without CAP_SYS_ADMIN, and anybody's with a user namespace.
  must(refused(unshare(CLONE_NEWUSER)), "unshare");
  must(refused(mount("none", "/", nullptr, MS_REMOUNT | MS_BIND, nullptr)), "mount");
  // An ill-formed attribute would be EINVAL, or EFAULT.
  must(refused(syscall(SYS_bpf, BPF_PROG_LOAD, nullptr, 0)), "BPF_PROG_LOAD");
  must(!refused(syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, nullptr, sizeof(int))) || geteuid() != 0, "BPF_MAP_LOOKUP_ELEM");
  must(refused(syscall(SYS_init_module, nullptr, 0, "")), "init_module");
  int in_thread = 0;
  std::thread([&in_thread] { in_thread = prctl(PR_GET_SECCOMP, 0, 0, 0, 0); }).join();
  must(in_thread == 2, "a thread that is started later");
  return wrong;
}

TEST(LeastRights, WhatOnlyIntrudersCallIsRefused) {
  in_a_child([] {
    const RightsLeft left = give_up_rights({});
    std::string wrong = wrong_with_calls();
    for (const std::string& kept : left.lost) {
      wrong += kept;
    }
    return wrong + (left.calls_refused && left.no_new_privs ? "" : "not said") +
           (refused(execute("/bin/false")) ? "" : "execve");
  });
}

TEST(LeastRights, APluginRunsWhereThereIsOne) {
  in_a_child([] {
    give_up_rights({.alerts = "-", .foreign_files = true, .programs = true});
    const std::string wrong = wrong_with_calls();
    return wrong.empty() ? std::to_string(execute("/bin/true")) : wrong;
  });
}

TEST(LeastRights, CapabilitiesAreThoseOfTheLoop) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "not root";
  }
  in_a_child([] {
    const RightsLeft left = give_up_rights({});
    for (const std::string& capability : left.capabilities) {
      if (capability != "cap_bpf" && capability != "cap_net_admin") {
        return capability;
      }
    }
    return std::string();
  });
}

// A key of another user's, as certbot's may be, is read again without a right to anything but reading.
TEST(LeastRights, AForeignKeyIsReadAgain) {
  if (geteuid() != 0) {
    GTEST_SKIP() << "not root";
  }
  std::string directory = "/tmp/hairpind-rights-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  std::string key = directory + "/tls.key";
  std::ofstream(key) << "key";
  const auto rights = [&] {
    in_a_child([&] {
      const RightsLeft left = give_up_rights({.read_again = {key}});
      const bool foreign = std::filesystem::path(key).parent_path().filename() == "foreign";
      const bool keeps = std::ranges::count(left.capabilities, "cap_dac_read_search") == 1;
      return std::string(keeps == foreign ? "" : "cap_dac_read_search; ") +
             (std::ranges::count(left.capabilities, "cap_dac_override") == 0 ? "" : "cap_dac_override; ") +
             (std::ifstream(key).good() ? "" : "it cannot be read");
    });
  };
  rights();
  const std::string foreign = directory + "/foreign";
  std::filesystem::create_directory(foreign);
  std::filesystem::rename(key, foreign + "/tls.key");
  ASSERT_EQ(chown((foreign + "/tls.key").c_str(), 65534, 65534), 0);
  ASSERT_EQ(chmod((foreign + "/tls.key").c_str(), 0600), 0);
  ASSERT_EQ(chown(foreign.c_str(), 65534, 65534), 0);
  ASSERT_EQ(chmod(foreign.c_str(), 0700), 0);
  key = foreign + "/tls.key";
  rights();
  std::filesystem::remove_all(directory);
}

TEST(LeastRights, AreSaid) {
  EXPECT_EQ(
      describe({.capabilities = {"cap_bpf", "cap_net_admin"}, .no_new_privs = true, .calls_refused = true, .lost = {}}),
      "rights after the start: cap_bpf, cap_net_admin; no_new_privs; system calls of intruders are refused");
  EXPECT_EQ(describe({}), "rights after the start: none; more by what it executes; any system call");
}

}  // namespace
}  // namespace hairpind
