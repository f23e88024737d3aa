// SPDX-License-Identifier: Apache-2.0
#include "dns_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace hairpind::testing {
namespace {

constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeAaaa = 28;
constexpr std::uint8_t kTypeCname = 5;
constexpr std::size_t kHeader = 12;
constexpr std::size_t kSmallestQuestion = kHeader + 5;  // the root's name, type, class

/// As it stands in a message: labels, each behind its length, and a zero byte.
std::vector<std::uint8_t> wire_name(const std::string& name) {
  std::vector<std::uint8_t> wire;
  for (std::size_t start = 0; start < name.size();) {
    const std::size_t end = std::min(name.find('.', start), name.size());
    wire.push_back(static_cast<std::uint8_t>(end - start));
    wire.insert(wire.end(), name.begin() + static_cast<std::ptrdiff_t>(start),
                name.begin() + static_cast<std::ptrdiff_t>(end));
    start = end + 1;
  }
  wire.push_back(0);
  return wire;
}

}  // namespace

DnsServer::DnsServer(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Any port may be somebody else's over TCP.
  for (int i = 0; i < 100; i++) {
    socket_ = FileDescriptor(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    listener_ = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int reuse = 1;
    setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
    address.sin_port = htons(port);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    socklen_t length = sizeof(address);
    getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    if (bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || port != 0) {
      break;
    }
  }
  EXPECT_EQ(listen(listener_.get(), 16), 0);
  thread_ = std::thread([this] { serve(); });
}

DnsServer::~DnsServer() {
  stopping_ = true;
  thread_.join();
}

void DnsServer::set(Answer answer, const std::string& name) {
  const std::scoped_lock lock(mutex_);
  answers_[name] = std::move(answer);
}

DnsServer::Answer DnsServer::answer_for(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  asked_[name]++;
  const auto found = answers_.find(name);
  return found == answers_.end() ? answers_.at("") : found->second;
}

int DnsServer::questions(const std::string& name) {
  const std::scoped_lock lock(mutex_);
  return asked_[name];
}

void DnsServer::serve() {
  while (!stopping_) {
    std::array<pollfd, 2> readable{{{.fd = socket_.get(), .events = POLLIN, .revents = 0},
                                    {.fd = listener_.get(), .events = POLLIN, .revents = 0}}};
    if (poll(readable.data(), readable.size(), 20) <= 0) {
      continue;
    }
    if (readable[0].revents != 0) {
      serve_datagram();
    }
    if (readable[1].revents != 0) {
      serve_connection();
    }
  }
}

void DnsServer::serve_datagram() {
  std::vector<std::uint8_t> message(1500);
  sockaddr_in peer{};
  socklen_t length = sizeof(peer);
  const ssize_t bytes =
      recvfrom(socket_.get(), message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&peer), &length);
  if (bytes < static_cast<ssize_t>(kSmallestQuestion)) {
    return;
  }
  const auto answer = reply(std::move(message), false);
  if (!answer.empty()) {
    sendto(socket_.get(), answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&peer), length);
  }
}

void DnsServer::serve_connection() {
  const FileDescriptor connection(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  // Who connects asks at once, or not at all.
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  setsockopt(connection.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  // Each message stands behind its length.
  std::array<std::uint8_t, 2> length{};
  while (recv(connection.get(), length.data(), length.size(), MSG_WAITALL) == 2) {
    std::vector<std::uint8_t> message(static_cast<std::size_t>(length[0] << 8 | length[1]));
    if (message.size() < kSmallestQuestion ||
        recv(connection.get(), message.data(), message.size(), MSG_WAITALL) != static_cast<ssize_t>(message.size())) {
      return;
    }
    auto answer = reply(std::move(message), true);
    if (answer.empty()) {
      return;
    }
    const std::size_t size = answer.size();
    answer.insert(answer.begin(), {static_cast<std::uint8_t>(size >> 8), static_cast<std::uint8_t>(size)});
    send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
  }
}

std::vector<std::uint8_t> DnsServer::reply(std::vector<std::uint8_t> message, bool over_tcp) {
  questions_++;
  // The question: the name's labels, each behind its length, a zero byte, type, class.
  std::string name;
  std::size_t end = kHeader;
  for (; message[end] != 0; end += message[end] + 1U) {
    name.append(name.empty() ? "" : ".").append(reinterpret_cast<const char*>(&message[end + 1]), message[end]);
  }
  end += 5;
  const Answer answer = answer_for(name);
  if (answer.silent) {
    return {};
  }
  const auto type = static_cast<std::uint16_t>(message[end - 4] << 8 | message[end - 3]);
  message.resize(end);
  message[2] |= 0x80;
  message[3] = static_cast<std::uint8_t>(0x80 | answer.response_code);
  std::memset(message.data() + 6, 0, 6);
  if (answer.truncated && !over_tcp) {
    message[2] |= 0x02;
    return message;
  }
  // Where in the message the name is that has the addresses.
  auto owner = static_cast<std::uint16_t>(kHeader);
  for (const std::string& each : answer.aliases) {
    const auto alias = wire_name(each);
    message.insert(message.end(),
                   {static_cast<std::uint8_t>(0xc0 | owner >> 8), static_cast<std::uint8_t>(owner), 0, kTypeCname, 0, 1,
                    0, 0, 0, static_cast<std::uint8_t>(answer.ttl), 0, static_cast<std::uint8_t>(alias.size())});
    owner = static_cast<std::uint16_t>(message.size());
    message.insert(message.end(), alias.begin(), alias.end());
    message[7]++;
  }
  for (const IpAddress& address : answer.addresses) {
    if (type != (address.is_v4() ? kTypeA : kTypeAaaa)) {
      continue;
    }
    const std::size_t width = address.is_v4() ? 4 : 16;
    const std::uint32_t ttl = address.is_v4() ? answer.ttl : answer.ttl_of_v6.value_or(answer.ttl);
    message.insert(message.end(), {static_cast<std::uint8_t>(0xc0 | owner >> 8), static_cast<std::uint8_t>(owner), 0,
                                   static_cast<std::uint8_t>(type), 0, 1, 0, 0, 0, static_cast<std::uint8_t>(ttl), 0,
                                   static_cast<std::uint8_t>(width)});
    message.insert(message.end(), address.bytes.end() - static_cast<std::ptrdiff_t>(width), address.bytes.end());
    message[7]++;
  }
  return message;
}

}  // namespace hairpind::testing
