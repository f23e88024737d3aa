// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind::testing {

// No healthy machine takes so long; far more than the server's own deadlines.
inline constexpr std::chrono::seconds kPatience{60};

/// A client that says what it likes, when it likes.
class RawClient {
 public:
  /// `from`: 127.0.0.1, who is on this machine; else another host, to the server.
  explicit RawClient(std::uint16_t port, int receive_bytes = 0, const char* from = "127.0.0.1")
      : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (receive_bytes != 0) {
      setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    sockaddr_in source{};
    source.sin_family = AF_INET;
    inet_pton(AF_INET, from, &source.sin_addr);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&source), sizeof(source)), 0);
    EXPECT_EQ(connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }

  /// False if the server has gone.
  [[nodiscard]] bool send(std::string_view bytes) const {
    return ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  void end_sending() const { shutdown(socket_.get(), SHUT_WR); }

  /// "" at the end, or after a reset.
  [[nodiscard]] std::string read_some() const {
    std::array<char, 4096> bytes{};
    pollfd waited_for{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (poll(&waited_for, 1, static_cast<int>(std::chrono::milliseconds(kPatience).count())) != 1) {
      ADD_FAILURE() << "nothing came";
      return "";
    }
    const ssize_t got = recv(socket_.get(), bytes.data(), bytes.size(), 0);
    return {bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  [[nodiscard]] std::string read_all() const {
    std::string all;
    for (std::string some = read_some(); !some.empty(); some = read_some()) {
      all += some;
    }
    return all;
  }
  [[nodiscard]] int socket() const { return socket_.get(); }
  /// The server has ended it, however.
  [[nodiscard]] bool is_cut() const {
    pollfd waited_for{.fd = socket_.get(), .events = POLLRDHUP, .revents = 0};
    return poll(&waited_for, 1, 0) == 1;
  }

 private:
  FileDescriptor socket_;
};

template <typename Condition>
bool eventually(Condition condition) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > until) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

}  // namespace hairpind::testing
