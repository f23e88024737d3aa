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

HttpConnection::HttpConnection(FileDescriptor socket, HttpClient client, Time now)
    : socket_(std::move(socket)), client_(client), idle_since_(now), deadline_(now + kTimeToAsk) {}

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
  const std::string_view read(bytes.data(), static_cast<std::size_t>(got));
  if (client_.certificate != nullptr) {
    decipher(read, now);
  } else {
    take(read, now);
  }
}

void HttpConnection::decipher(std::string_view bytes, Time now) {
  if (!tls_) {
    tls_.emplace(client_.certificate->settings());
  }
  std::string said;
  const bool goes_on = tls_->take(bytes, said);
  // The greeting, or why there is none. The socket has had nothing to send before: a client for whom it does not fit in
  // is none.
  const std::string_view greeting = tls_->to_send();
  if (!greeting.empty()) {
    const ssize_t sent = send(socket_.get(), greeting.data(), greeting.size(), MSG_NOSIGNAL);
    if (std::cmp_not_equal(sent, greeting.size())) {
      stage_ = Stage::kOver;
      return;
    }
    tls_->sent(greeting.size());
  }
  take(said, now);
  if (stage_ == Stage::kAsking && !goes_on) {
    leave(now);
  }
}

void HttpConnection::take(std::string_view text, Time now) {
  if (request_.feed(text) != HttpRequest::State::kReading) {
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

/// For the socket.
std::string_view HttpConnection::next_bytes() {
  if (!tls_) {
    return rest();
  }
  if (tls_->to_send().empty()) {
    if (const std::string_view piece = rest().substr(0, TlsSession::kLargestPiece); !piece.empty()) {
      // Where it cannot be said the answer ends, without a goodbye.
      sent_ += tls_->say(piece) ? piece.size() : 0;
    } else if (!std::exchange(said_goodbye_, true)) {
      tls_->say_goodbye();
    }
  }
  return tls_->to_send();
}

void HttpConnection::write(Time now) {
  for (std::string_view bytes = next_bytes(); !bytes.empty(); bytes = next_bytes()) {
    const int more = body_ && sent_ < head_.size() ? MSG_MORE : 0;
    const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | more);
    if (sent < 0) {
      stage_ = is_for_later(errno) ? Stage::kAnswering : Stage::kOver;
      return;
    }
    if (tls_) {
      tls_->sent(static_cast<std::size_t>(sent));
    } else {
      sent_ += static_cast<std::size_t>(sent);
    }
    idle_since_ = now;
  }
  body_.reset();
  leave(now);
}

void HttpConnection::leave(Time now) {
  tls_.reset();
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
