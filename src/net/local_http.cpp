// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/local_http.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr std::size_t kLongestAnswer = 8U << 20U;

using AddressInfo = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

AddressInfo numeric_address(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const bool known = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) == 0;
  return {known ? found : nullptr, &freeaddrinfo};
}

std::string loopback_for(const std::string& host) {
  if (host == "0.0.0.0") {
    return "127.0.0.1";
  }
  return host == "::" ? "::1" : host;
}

Result<FileDescriptor> connect_to(const addrinfo& address, const std::string& where) {
  FileDescriptor socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) {
    return fail_errno("socket for " + where, errno);
  }
  // Each call on the socket ends by then.
  const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
    return fail_errno("connect to the agent on " + where + " (is it running on this node, with that --listen?)", errno);
  }
  return socket;
}

Result<std::string> read_all(int socket, const std::string& where) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::string answer;
  std::array<char, 16384> bytes{};
  for (;;) {
    const ssize_t got = recv(socket, bytes.data(), bytes.size(), 0);
    if (got == 0) {
      return answer;
    }
    if (got < 0) {
      return fail_errno("read the answer of " + where, errno == EAGAIN ? ETIMEDOUT : errno);
    }
    answer.append(bytes.data(), static_cast<std::size_t>(got));
    if (answer.size() > kLongestAnswer || std::chrono::steady_clock::now() > until) {
      return fail("read the answer of " + where + ": it does not end");
    }
  }
}

}  // namespace

Result<std::string> get_local(const std::string& host, std::uint16_t port, const std::string& path) {
  const std::string own = loopback_for(host);
  const std::string where = (own.contains(':') ? "[" + own + "]" : own) + ":" + std::to_string(port);
  const AddressInfo address = numeric_address(own, port);
  if (!address) {
    return fail("'" + host + "' is no address; give the ADDR:PORT that the agent listens on (--listen)");
  }
  const auto socket = connect_to(*address, where);
  if (!socket) {
    return std::unexpected(socket.error());
  }
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  if (send(socket->get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return fail_errno("ask " + where, errno);
  }
  const auto answer = read_all(socket->get(), where);
  if (!answer) {
    return answer;
  }
  const std::size_t head_end = answer->find("\r\n\r\n");
  const std::string_view status_line = std::string_view(*answer).substr(0, answer->find("\r\n"));
  if (!status_line.starts_with("HTTP/1.1 ") || head_end == std::string::npos) {
    return fail("ask " + where + ": no HTTP answer: is that a hairpind?");
  }
  std::string body = answer->substr(head_end + 4);
  if (!status_line.starts_with("HTTP/1.1 200 ")) {
    return fail("ask " + where + " for " + path + ": " + std::string(status_line.substr(9)) + ": " +
                body.substr(0, body.find('\n')));
  }
  return body;
}

}  // namespace hairpind
