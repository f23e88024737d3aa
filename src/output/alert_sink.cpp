// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/alert_sink.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <utility>

#include "take_back.hpp"

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
  const int mode = fcntl(STDOUT_FILENO, F_GETFL);
  if (mode < 0 || (mode & O_ACCMODE) == O_RDONLY) {
    return fail("use stdout for alerts: it is not open for writing (is it closed? give --alerts a file)");
  }
  // An open file description of our own: O_NONBLOCK on the inherited one would change it for the shell too.
  FileDescriptor own(::open("/proc/self/fd/1", kFlags | O_NOCTTY));
  if (own.get() < 0 && isatty(STDOUT_FILENO) != 0 && tcgetsid(STDOUT_FILENO) == getsid(0)) {
    // The terminal of whoever called su(1) opens by its other name only.
    own = FileDescriptor(::open("/dev/tty", kFlags | O_NOCTTY));
  }
  if (own.get() >= 0) {
    return own;
  }
  // A socket cannot be opened, nor another user's pipe.
  FileDescriptor shared(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
  if (shared.get() < 0) {
    return fail_errno("use stdout for alerts (give --alerts a file)", errno);
  }
  return shared;
}

// Unread bytes; 0 of what is no pipe.
std::size_t unread_in_pipe(int fd) {
  struct stat status{};
  int bytes = 0;
  const bool known = fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode) && ioctl(fd, FIONREAD, &bytes) == 0;
  return known ? static_cast<std::size_t>(bytes) : 0;
}

// Who waits longest when nobody reads. What is lost of the last comes again, with its count.
int rank(AlertEvent event) {
  switch (event) {
    case AlertEvent::kAsymmetricHandshake:
      return 0;
    case AlertEvent::kAsymmetricHandshakeResolved:
    case AlertEvent::kAsymmetricHandshakeDormant:
    case AlertEvent::kHairpinExposure:
      return 1;
    case AlertEvent::kAsymmetricHandshakeEvidence:
    case AlertEvent::kAsymmetricHandshakeRepeated:
      break;
  }
  return 2;
}

}  // namespace

bool take_back(int fd, std::size_t bytes) {
  struct stat status{};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
    return false;
  }
  const off_t end = lseek(fd, 0, SEEK_CUR);
  // Somebody else appended since: too late.
  return end == status.st_size && ftruncate(fd, end - static_cast<off_t>(bytes)) == 0;
}

Result<AlertSink> AlertSink::open(std::string path) {
  auto fd = open_stream(path);
  if (!fd) {
    return std::unexpected(fd.error());
  }
  return AlertSink(std::move(path), *std::move(fd));
}

Result<void> AlertSink::write(AlertEvent event, std::string line) {
  line += '\n';
  // Nothing comes between the halves of a line.
  const auto begin = queue_.begin() + (bytes_out_ == 0 ? 0 : 1);
  const auto rank_of_line = [](const Line& queued) { return rank(queued.event); };
  queue_.insert(std::ranges::upper_bound(begin, queue_.end(), rank(event), {}, rank_of_line),
                Line{.event = event, .text = std::move(line)});
  if (queue_.size() > kQueueLines) {
    queue_.pop_back();
    dropped_++;
  }
  return retry();
}

ssize_t AlertSink::write_now(const char* data, std::size_t size) const {
  if ((fcntl(fd_.get(), F_GETFL) & O_NONBLOCK) != 0) {
    return ::write(fd_.get(), data, size);
  }
  // The description is shared with whoever started us, and stays as it is: not to wait is asked for by the call.
  const ssize_t sent = send(fd_.get(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent >= 0 || errno != ENOTSOCK) {
    return sent;
  }
  struct stat status{};
  if (fstat(fd_.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    // Nobody reads a file slowly.
    return ::write(fd_.get(), data, size);
  }
  const iovec piece{.iov_base = const_cast<char*>(data), .iov_len = size};
  const ssize_t written = pwritev2(fd_.get(), &piece, 1, -1, RWF_NOWAIT);
  if (written >= 0 || errno != EOPNOTSUPP) {
    return written;
  }
  // Pipes know RWF_NOWAIT since 6.4. Before, one that polls writable has room for PIPE_BUF bytes.
  pollfd writable{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
  if (poll(&writable, 1, 0) != 1 || (writable.revents & POLLOUT) == 0) {
    errno = EAGAIN;
    return -1;
  }
  return ::write(fd_.get(), data, std::min<std::size_t>(size, PIPE_BUF));
}

// Nothing overtakes what stands in a pipe, and it holds 64 KiB: of what can wait, a page at the most.
bool AlertSink::is_to_wait(const Line& line) const {
  if (finishing_ || bytes_out_ != 0 || line.event == AlertEvent::kAsymmetricHandshake) {
    return false;
  }
  const std::size_t unread = unread_in_pipe(fd_.get());
  return unread != 0 && unread + line.text.size() > PIPE_BUF;
}

Result<void> AlertSink::retry() {
  blocked_ = false;
  while (!queue_.empty()) {
    const Line& line = queue_.front();
    if (is_to_wait(line)) {
      blocked_ = true;
      return {};
    }
    const ssize_t bytes = write_now(line.text.data() + bytes_out_, line.text.size() - bytes_out_);
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
    bytes_out_ += static_cast<std::size_t>(bytes);
    if (bytes_out_ == line.text.size()) {
      written_[line.event]++;
      queue_.pop_front();
      bytes_out_ = 0;
    } else if (take_back(fd_.get(), bytes_out_)) {
      bytes_out_ = 0;
      return fail_errno("write to the alert stream '" + path_ + "'", ENOSPC);
    }
  }
  return {};
}

Result<void> AlertSink::finish() {
  finishing_ = true;
  return retry();
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
  bytes_out_ = 0;
  return retry();
}

}  // namespace hairpind
