// SPDX-License-Identifier: Apache-2.0
#include "http_connection.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

namespace hairpind {
namespace {

// For all of the question, for all of the answer, and for the client to go; whatever trickles meanwhile.
constexpr std::chrono::seconds kTimeToAsk{5};
constexpr std::chrono::seconds kTimeToAnswer{10};
constexpr std::chrono::seconds kTimeToLeave{5};
// More than this after the question is no mistake.
constexpr std::size_t kMostDrained = 65536;

bool is_for_later(int error) {
  return error == EAGAIN || error == EINTR;
}

}  // namespace

HttpConnection::HttpConnection(FileDescriptor socket, Time now)
    : socket_(std::move(socket)), idle_since_(now), deadline_(now + kTimeToAsk) {}

HttpConnection::~HttpConnection() {
  if (socket_.get() >= 0 && !all_taken()) {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
}

bool HttpConnection::all_taken() const {
  int unacknowledged = 0;
  // The end itself counts as one.
  return ioctl(socket_.get(), SIOCOUTQ, &unacknowledged) == 0 && unacknowledged <= 1;
}

short HttpConnection::events() const {
  switch (stage_) {
    case Stage::kAsking:
    case Stage::kLeaving:
      return POLLIN;
    case Stage::kAnswering:
      return POLLOUT;
    case Stage::kWaiting:
    case Stage::kFlushing:
    case Stage::kOver:
      break;
  }
  // Errors are told all the same.
  return 0;
}

void HttpConnection::go_on(Time now) {
  switch (stage_) {
    case Stage::kAsking:
      read(now);
      return;
    case Stage::kAnswering:
      write(now);
      return;
    case Stage::kLeaving:
      drain();
      return;
    case Stage::kWaiting:
      // Nothing but the other end's reset wakes it.
      stage_ = Stage::kOver;
      return;
    case Stage::kFlushing:
    case Stage::kOver:
      return;
  }
}

// One piece a turn: nobody holds up the others by sending fast.
void HttpConnection::read(Time now) {
  std::array<char, 4096> bytes{};
  const ssize_t got = recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (got < 0 && is_for_later(errno)) {
    return;
  }
  if (got <= 0) {
    stage_ = Stage::kOver;
    return;
  }
  idle_since_ = now;
  if (request_.feed({bytes.data(), static_cast<std::size_t>(got)}) != HttpRequest::State::kReading) {
    stage_ = Stage::kWaiting;
    deadline_ = now + kTimeToAnswer;
  }
}

void HttpConnection::answer(std::string head, std::shared_ptr<const std::string> body, Time now) {
  head_ = std::move(head);
  body_ = std::move(body);
  had_body_ = body_ != nullptr;
  stage_ = Stage::kAnswering;
  deadline_ = now + kTimeToAnswer;
  write(now);
}

std::string_view HttpConnection::rest() const {
  const std::string_view head(head_);
  if (sent_ < head.size()) {
    return head.substr(sent_);
  }
  return body_ ? std::string_view(*body_).substr(sent_ - head.size()) : std::string_view();
}

void HttpConnection::write(Time now) {
  for (std::string_view bytes = rest(); !bytes.empty(); bytes = rest()) {
    const int more = body_ && sent_ < head_.size() ? MSG_MORE : 0;
    const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | more);
    if (sent < 0) {
      stage_ = is_for_later(errno) ? Stage::kAnswering : Stage::kOver;
      return;
    }
    sent_ += static_cast<std::size_t>(sent);
    idle_since_ = now;
  }
  body_.reset();
  shutdown(socket_.get(), SHUT_WR);
  stage_ = Stage::kLeaving;
  deadline_ = now + kTimeToLeave;
}

void HttpConnection::drain() {
  std::array<char, 4096> bytes{};
  const ssize_t got = recv(socket_.get(), bytes.data(), bytes.size(), 0);
  if (got < 0 && is_for_later(errno)) {
    return;
  }
  drained_ += got > 0 ? static_cast<std::size_t>(got) : 0;
  if (got == 0 && !all_taken()) {
    stage_ = Stage::kFlushing;
  } else if (got <= 0 || drained_ > kMostDrained) {
    stage_ = Stage::kOver;
  }
}

}  // namespace hairpind
