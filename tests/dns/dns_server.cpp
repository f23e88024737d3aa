// SPDX-License-Identifier: Apache-2.0
#include "dns_server.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
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

DnsServer::DnsServer(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  socklen_t length = sizeof(address);
  getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
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
    pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, 20) <= 0) {
      continue;
    }
    std::vector<std::uint8_t> message(1500);
    sockaddr_in peer{};
    socklen_t length = sizeof(peer);
    const ssize_t bytes =
        recvfrom(socket_.get(), message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&peer), &length);
    if (bytes < static_cast<ssize_t>(kSmallestQuestion)) {
      continue;
    }
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
      continue;
    }
    const auto type = static_cast<std::uint16_t>(message[end - 4] << 8 | message[end - 3]);
    message.resize(end);
    message[2] |= 0x80;
    message[3] = static_cast<std::uint8_t>(0x80 | answer.response_code);
    std::memset(message.data() + 6, 0, 6);
    // Where in the message the name is that has the addresses.
    auto owner = static_cast<std::uint16_t>(kHeader);
    if (!answer.alias.empty()) {
      const auto alias = wire_name(answer.alias);
      message.insert(message.end(), {0xc0, kHeader, 0, kTypeCname, 0, 1, 0, 0, 0, static_cast<std::uint8_t>(answer.ttl),
                                     0, static_cast<std::uint8_t>(alias.size())});
      owner = static_cast<std::uint16_t>(message.size());
      message.insert(message.end(), alias.begin(), alias.end());
      message[7]++;
    }
    for (const IpAddress& address : answer.addresses) {
      if (type != (address.is_v4() ? kTypeA : kTypeAaaa)) {
        continue;
      }
      const std::size_t width = address.is_v4() ? 4 : 16;
      message.insert(message.end(), {static_cast<std::uint8_t>(0xc0 | owner >> 8), static_cast<std::uint8_t>(owner), 0,
                                     static_cast<std::uint8_t>(type), 0, 1, 0, 0, 0,
                                     static_cast<std::uint8_t>(answer.ttl), 0, static_cast<std::uint8_t>(width)});
      message.insert(message.end(), address.bytes.end() - static_cast<std::ptrdiff_t>(width), address.bytes.end());
      message[7]++;
    }
    sendto(socket_.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&peer), length);
  }
}

}  // namespace hairpind::testing
