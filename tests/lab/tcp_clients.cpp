// SPDX-License-Identifier: Apache-2.0
#include "tcp_clients.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <map>
#include <span>
#include <string_view>
#include <utility>

namespace hairpind::testing {
namespace {

// Longer than a client's stack takes to repeat a lost SYN three times.
constexpr int kRequestTimeoutMilliseconds = 15'000;

class SocketAddress {
 public:
  SocketAddress(const std::string& address, int port) {
    if (address.find(':') == std::string::npos) {
      auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage_);
      v4->sin_family = AF_INET;
      v4->sin_port = htons(static_cast<std::uint16_t>(port));
      EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &v4->sin_addr), 1);
      length_ = sizeof(*v4);
    } else {
      auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage_);
      v6->sin6_family = AF_INET6;
      v6->sin6_port = htons(static_cast<std::uint16_t>(port));
      EXPECT_EQ(inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr), 1);
      length_ = sizeof(*v6);
    }
  }

  /// Its SYN is sent when this returns; from the kernel's choice of a port, or from `own_port`.
  [[nodiscard]] FileDescriptor start_connection(int own_port = 0) const {
    FileDescriptor socket(::socket(storage_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    EXPECT_GE(socket.get(), 0);
    if (own_port != 0) {
      sockaddr_storage own{};
      own.ss_family = storage_.ss_family;
      // The port is in the same place in both families.
      reinterpret_cast<sockaddr_in*>(&own)->sin_port = htons(static_cast<std::uint16_t>(own_port));
      EXPECT_EQ(bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), length_), 0);
    }
    EXPECT_TRUE(connect(socket.get(), reinterpret_cast<const sockaddr*>(&storage_), length_) == 0 ||
                errno == EINPROGRESS);
    return socket;
  }

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

struct Request {
  FileDescriptor socket;
  std::string answer;

  [[nodiscard]] bool send() const {
    constexpr std::string_view kText = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n";
    return ::send(socket.get(), kText.data(), kText.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(kText.size());
  }

  /// Takes in what is there; true at the end, or after an error.
  bool ended() {
    std::array<char, 4096> buffer{};
    for (;;) {
      const ssize_t bytes = recv(socket.get(), buffer.data(), buffer.size(), 0);
      if (bytes <= 0) {
        return bytes == 0 || errno != EAGAIN;
      }
      answer.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
  }
};

}  // namespace

int complete_requests(const std::string& address, int port, int count) {
  int complete = 0;
  for (int i = 0; i < count; i++) {
    httplib::Client client(address, port);
    client.set_connection_timeout(5);
    const auto response = client.Get("/");
    complete += response && response->status == 200 ? 1 : 0;
  }
  return complete;
}

int complete_requests_at_once(const std::string& address, int port, int count, int at_once) {
  const SocketAddress peer(address, port);
  const FileDescriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  std::map<int, Request> open;
  int started = 0;
  int complete = 0;
  while (started < count || !open.empty()) {
    while (started < count && open.size() < static_cast<std::size_t>(at_once)) {
      started++;
      FileDescriptor socket = peer.start_connection();
      const int fd = socket.get();
      epoll_event event{.events = EPOLLOUT, .data = {.fd = fd}};
      epoll_ctl(epoll.get(), EPOLL_CTL_ADD, fd, &event);
      open.emplace(fd, Request{.socket = std::move(socket), .answer = {}});
    }
    std::array<epoll_event, 64> ready{};
    const int events = epoll_wait(epoll.get(), ready.data(), ready.size(), kRequestTimeoutMilliseconds);
    if (events <= 0) {
      break;
    }
    for (epoll_event& event : std::span(ready).first(static_cast<std::size_t>(events))) {
      const int fd = event.data.fd;
      Request& request = open.at(fd);
      if ((event.events & EPOLLOUT) != 0 && request.send()) {
        event.events = EPOLLIN;
        epoll_ctl(epoll.get(), EPOLL_CTL_MOD, fd, &event);
      } else if (request.ended()) {
        complete += request.answer.starts_with("HTTP/1.1 200 ") ? 1 : 0;
        open.erase(fd);
      }
    }
  }
  return complete;
}

PendingConnections::PendingConnections(const std::string& address, int port, int count, int first_source_port) {
  const SocketAddress peer(address, port);
  for (int i = 0; i < count; i++) {
    sockets_.push_back(peer.start_connection(first_source_port == 0 ? 0 : first_source_port + i));
  }
}

int PendingConnections::established() const {
  int count = 0;
  for (const FileDescriptor& socket : sockets_) {
    tcp_info info{};
    socklen_t length = sizeof(info);
    getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &length);
    count += info.tcpi_state == TCP_ESTABLISHED ? 1 : 0;
  }
  return count;
}

}  // namespace hairpind::testing
