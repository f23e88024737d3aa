// SPDX-License-Identifier: Apache-2.0
#include "tcp_clients.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace hairpind::testing {

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

PendingConnections::PendingConnections(const std::string& address, int port, int count, int first_source_port) {
  sockaddr_storage peer{};
  socklen_t length = 0;
  if (address.find(':') == std::string::npos) {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&peer);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(inet_pton(AF_INET, address.c_str(), &v4->sin_addr), 1);
    length = sizeof(*v4);
  } else {
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&peer);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(inet_pton(AF_INET6, address.c_str(), &v6->sin6_addr), 1);
    length = sizeof(*v6);
  }
  for (int i = 0; i < count; i++) {
    const int socket = ::socket(peer.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    EXPECT_GE(socket, 0);
    if (first_source_port != 0) {
      sockaddr_storage own{};
      own.ss_family = peer.ss_family;
      // The port is in the same place in both families.
      reinterpret_cast<sockaddr_in*>(&own)->sin_port = htons(static_cast<std::uint16_t>(first_source_port + i));
      EXPECT_EQ(bind(socket, reinterpret_cast<const sockaddr*>(&own), length), 0);
    }
    EXPECT_TRUE(connect(socket, reinterpret_cast<const sockaddr*>(&peer), length) == 0 || errno == EINPROGRESS);
    sockets_.push_back(socket);
  }
}

PendingConnections::~PendingConnections() {
  for (const int socket : sockets_) {
    close(socket);
  }
}

int PendingConnections::established() const {
  int count = 0;
  for (const int socket : sockets_) {
    tcp_info info{};
    socklen_t length = sizeof(info);
    getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &length);
    count += info.tcpi_state == TCP_ESTABLISHED ? 1 : 0;
  }
  return count;
}

}  // namespace hairpind::testing
