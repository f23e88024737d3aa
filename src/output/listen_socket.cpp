// SPDX-License-Identifier: Apache-2.0
#include "listen_socket.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <memory>

#include "hairpind/output/http_server.hpp"

namespace hairpind {
namespace {

// What one client makes the kernel keep; it doubles both.
constexpr int kReceiveBytes = 8192;
constexpr int kSendBytes = 131072;
// Whoever finds it full waits a second for the next SYN.
constexpr int kBacklog = 1024;

struct AddressesDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

}  // namespace

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const auto wrong = [&] {
    return fail("listen address '" + std::string(text) +
                "': expected ADDR:PORT or [IPV6]:PORT, such as 127.0.0.1:9477, 0.0.0.0:9477 or [::]:9477; empty "
                "for none");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return wrong();
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.contains(':')) {
    return wrong();
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return wrong();
  }
  return ListenAddress{std::string(host), port};
}

std::expected<FileDescriptor, int> listen_on(const std::string& address, std::uint16_t port) {
  const addrinfo hints{.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                       .ai_family = AF_UNSPEC,
                       .ai_socktype = SOCK_STREAM,
                       .ai_protocol = 0,
                       .ai_addrlen = 0,
                       .ai_addr = nullptr,
                       .ai_canonname = nullptr,
                       .ai_next = nullptr};
  addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return std::unexpected(0);
  }
  const std::unique_ptr<addrinfo, AddressesDeleter> addresses(found);
  int error = 0;
  for (const addrinfo* each = addresses.get(); each != nullptr; each = each->ai_next) {
    FileDescriptor socket(::socket(each->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int yes = 1;
    // Not SO_REUSEPORT: a second agent on this address must be told so. The buffers are inherited by what is accepted.
    setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &kReceiveBytes, sizeof(kReceiveBytes));
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDBUF, &kSendBytes, sizeof(kSendBytes));
    if (socket.get() >= 0 && bind(socket.get(), each->ai_addr, each->ai_addrlen) == 0 &&
        listen(socket.get(), kBacklog) == 0) {
      return socket;
    }
    error = errno;
  }
  return std::unexpected(error);
}

std::uint16_t port_of(int socket) {
  sockaddr_storage own{};
  socklen_t length = sizeof(own);
  getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length);
  // The port is in the same place in both families.
  return ntohs(reinterpret_cast<const sockaddr_in*>(&own)->sin_port);
}

}  // namespace hairpind
