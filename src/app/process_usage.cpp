// SPDX-License-Identifier: Apache-2.0
#include "process_usage.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

namespace hairpind {
namespace {

// proc_pid_stat(5): the 22nd field, 20 after the command's name, which may hold anything.
std::optional<double> seconds_from_boot_to_start() {
  std::ifstream file("/proc/self/stat");
  file.ignore(std::numeric_limits<std::streamsize>::max(), ')');
  std::string field;
  for (int i = 0; i < 19; i++) {
    file >> field;
  }
  double ticks = 0;
  file >> ticks;
  return file ? std::optional(ticks / static_cast<double>(sysconf(_SC_CLK_TCK))) : std::nullopt;
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + (static_cast<double>(time.tv_usec) / 1e6);
}

}  // namespace

std::optional<ProcessUsage> read_process_usage() {
  ProcessUsage usage;
  rusage spent{};
  rlimit descriptors{};
  std::uint64_t pages = 0;
  std::uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  const auto started = seconds_from_boot_to_start();
  std::error_code error;
  const std::filesystem::directory_iterator open("/proc/self/fd", error);
  if (getrusage(RUSAGE_SELF, &spent) != 0 || getrlimit(RLIMIT_NOFILE, &descriptors) != 0 || resident == 0 || !started ||
      error) {
    return std::nullopt;
  }
  const auto page = static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
  timespec since_boot{};
  clock_gettime(CLOCK_BOOTTIME, &since_boot);
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  usage.cpu_seconds = seconds(spent.ru_utime) + seconds(spent.ru_stime);
  usage.start_seconds =
      now.count() - (static_cast<double>(since_boot.tv_sec) + static_cast<double>(since_boot.tv_nsec) / 1e9) + *started;
  usage.resident_bytes = resident * page;
  usage.virtual_bytes = pages * page;
  usage.open_descriptors = static_cast<std::uint64_t>(std::distance(begin(open), end(open)));
  usage.most_descriptors = descriptors.rlim_cur;
  return usage;
}

}  // namespace hairpind
