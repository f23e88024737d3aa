// SPDX-License-Identifier: Apache-2.0
#include "problem_file.hpp"

#include <spdlog/spdlog.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "problem_json.hpp"

namespace hairpind {
namespace {

constexpr std::chrono::seconds kBetween{10};
// Far more than a node's problems come to: what is larger is none of ours.
constexpr std::uintmax_t kLargest = 16U << 20U;

std::string boot_id() {
  std::string id;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> id;
  return id;
}

Result<std::string> read_text(const std::string& path) {
  errno = 0;
  const std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!file || error) {
    return fail_errno("read it", errno == 0 ? error.value() : errno);
  }
  if (size > kLargest) {
    return fail("it has " + std::to_string(size) + " bytes");
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A reader, and a restart, finds the one or the other. Not fsync(2), which may take seconds: what a node loses by a
// crash is ten seconds of counts, or the file, which is told then.
Result<void> write_text(const std::string& path, const std::string& text) {
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text << std::flush;
  if (!file) {
    return fail_errno("write '" + path + "'", errno == 0 ? EIO : errno);
  }
  return {};
}

}  // namespace

Result<ProblemFile> ProblemFile::open(const std::string& directory) {
  ProblemFile file(directory + "/problems.json", boot_id());
  if (const auto written = write_text(file.path_ + ".new", ""); !written) {
    return fail(written.error().message +
                "; give --state-directory a directory that exists and can be written, or leave it out");
  }
  std::remove((file.path_ + ".new").c_str());
  return file;
}

std::vector<KeptProblem> ProblemFile::read(WallTime::duration boot_to_wall) const {
  std::error_code error;
  if (!std::filesystem::exists(path_, error) && !error) {
    return {};
  }
  const auto text = read_text(path_);
  auto problems =
      text ? problems_from_json(*text, {.boot = boot_, .boot_to_wall = boot_to_wall}) : std::unexpected(text.error());
  if (!problems) {
    spdlog::warn("what was known of problems before, '{}', cannot be used: {}; beginning without", path_,
                 problems.error().message);
    return {};
  }
  return *std::move(problems);
}

void ProblemFile::write(const std::vector<KeptProblem>& problems, WallTime::duration boot_to_wall, SinceBoot now) {
  next_ = now + kBetween;
  // The difference of the two clocks is never twice the same.
  std::string content = problems_to_json(problems, {.boot = boot_, .boot_to_wall = {}});
  if (content == written_) {
    return;
  }
  const auto replaced = replace(problems_to_json(problems, {.boot = boot_, .boot_to_wall = boot_to_wall}));
  if (!replaced) {
    if (writing_.begins()) {
      spdlog::error("{}; a restart will not know of problems since then; trying again", replaced.error().message);
    }
    return;
  }
  if (writing_.ends()) {
    spdlog::info("problems are kept in '{}' again", path_);
  }
  written_ = std::move(content);
}

Result<void> ProblemFile::replace(const std::string& text) const {
  const std::string fresh = path_ + ".new";
  if (auto written = write_text(fresh, text); !written) {
    return written;
  }
  if (std::rename(fresh.c_str(), path_.c_str()) != 0) {
    return fail_errno("replace '" + path_ + "'", errno);
  }
  return {};
}

}  // namespace hairpind
