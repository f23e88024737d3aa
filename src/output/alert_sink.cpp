// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/alert_sink.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace hairpind {
namespace {

constexpr int kFlags = O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC;

Result<FileDescriptor> open_stream(const std::string& path) {
  if (path != "-") {
    FileDescriptor file(::open(path.c_str(), kFlags | O_CREAT, 0640));
    if (file.get() < 0) {
      return fail_errno("open the alert file '" + path +
                            "' (give a file in a directory that exists and can be written, or - for stdout)",
                        errno);
    }
    return file;
  }
  // An open file description of our own: O_NONBLOCK on the inherited one would change it for the shell too.
  FileDescriptor own(::open("/proc/self/fd/1", kFlags));
  if (own.get() >= 0) {
    return own;
  }
  // A socket cannot be opened, nor another user's pipe.
  FileDescriptor shared(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (shared.get() < 0) {
    return fail_errno("use stdout for alerts (is it closed? give --alerts a file)", errno);
  }
  return shared;
}

// A line cut short by a full disk is taken back, so that the file only ever holds whole lines.
bool take_back(int fd, std::size_t bytes) {
  struct stat status{};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return false;
  }
  const off_t end = lseek(fd, 0, SEEK_CUR);
  // Somebody else appended since: too late.
  return end == status.st_size && ftruncate(fd, end - static_cast<off_t>(bytes)) == 0;
}

}  // namespace

Result<AlertSink> AlertSink::open(std::string path) {
  auto fd = open_stream(path);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  return AlertSink(std::move(path), *std::move(fd));
}

Result<void> AlertSink::write(std::string line) {
  if (queue_.size() >= kQueueLines) {
    dropped_++;
  } else {
    line += '\n';
    queue_.push_back(std::move(line));
  }
  return retry();
}

Result<void> AlertSink::retry() {
  blocked_ = false;
  while (!queue_.empty()) {
    const std::string& line = queue_.front();
    const ssize_t bytes = ::write(fd_.get(), line.data() + written_, line.size() - written_);
    if (bytes < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno == EAGAIN) {
        blocked_ = true;
        return {};
      }
      return fail_errno("write to the alert stream '" + path_ + "'", errno);
    }
    written_ += static_cast<std::size_t>(bytes);
    if (written_ == line.size()) {
      queue_.pop_front();
      written_ = 0;
    } else if (take_back(fd_.get(), written_)) {
      written_ = 0;
      return fail_errno("write to the alert stream '" + path_ + "'", ENOSPC);
    }
  }
  return {};
}

Result<void> AlertSink::reopen() {
  if (path_ == "-") {
    return {};
  }
  auto fd = open_stream(path_);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  fd_ = *std::move(fd);
  // The new file gets the line whole.
  written_ = 0;
  return retry();
}

}  // namespace hairpind
