// SPDX-License-Identifier: Apache-2.0
#include "memory_cgroup.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace hairpind::testing {
namespace {

bool write_text(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  return file.good();
}

bool has_word(const std::string& path, const std::string& word) {
  std::ifstream file(path);
  for (std::string each; file >> each;) {
    if (each == word) {
      return true;
    }
  }
  return false;
}

std::uint64_t number_in(const std::string& path) {
  std::uint64_t number = 0;
  std::ifstream(path) >> number;
  return number;
}

/// Of a file with a name and a number a line.
std::uint64_t field_of(const std::string& path, const std::string& wanted) {
  std::ifstream file(path);
  std::string name;
  for (std::uint64_t number = 0; file >> name >> number;) {
    if (name == wanted) {
      return number;
    }
  }
  return 0;
}

}  // namespace

MemoryCgroup::MemoryCgroup(std::uint64_t limit_bytes) {
  std::string root;
  std::ifstream mounts("/proc/mounts");
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string source;
    std::string at;
    std::string type;
    std::string options;
    words >> source >> at >> type >> options;
    if (type == "cgroup" && ("," + options + ",").find(",memory,") != std::string::npos) {
      root = at;
      v2_ = false;
      break;
    }
    if (type == "cgroup2" && has_word(at + "/cgroup.controllers", "memory")) {
      root = at;
      v2_ = true;
    }
  }
  if (root.empty()) {
    unavailable_ = "no cgroup hierarchy with the memory controller is mounted";
    return;
  }
  if (v2_ && !has_word(root + "/cgroup.subtree_control", "memory") &&
      !write_text(root + "/cgroup.subtree_control", "+memory")) {
    unavailable_ = "cannot hand the memory controller on to cgroups below " + root;
    return;
  }
  directory_ = root + "/hairpind-test-" + std::to_string(getpid());
  std::error_code error;
  if (!std::filesystem::create_directory(directory_, error)) {
    unavailable_ = "cannot make the cgroup " + directory_ + ": " + error.message();
    directory_.clear();
    return;
  }
  if (!write_text(directory_ + (v2_ ? "/memory.max" : "/memory.limit_in_bytes"), std::to_string(limit_bytes))) {
    unavailable_ = "cannot limit the memory of the cgroup " + directory_;
  }
}

MemoryCgroup::~MemoryCgroup() {
  if (!directory_.empty()) {
    rmdir(directory_.c_str());
  }
}

std::uint64_t MemoryCgroup::now_bytes() const {
  return number_in(directory_ + (v2_ ? "/memory.current" : "/memory.usage_in_bytes"));
}

std::uint64_t MemoryCgroup::killed() const {
  return field_of(directory_ + (v2_ ? "/memory.events" : "/memory.oom_control"), "oom_kill");
}

std::uint64_t MemoryCgroup::limit_met() const {
  return v2_ ? field_of(directory_ + "/memory.events", "max") : number_in(directory_ + "/memory.failcnt");
}

}  // namespace hairpind::testing
