// SPDX-License-Identifier: Apache-2.0
#include "tcp_connect.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>

namespace hairpind {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

struct AddressesDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addresses = std::unique_ptr<addrinfo, AddressesDeleter>;

struct Lookup {
  FileDescriptor done{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::atomic_flag ended;  ///< by it, not by the descriptor, one thread sees what the other has written
  std::string host;
  std::string port;
  int status = 0;
  Addresses addresses;

  void run(int flags) {
    const addrinfo hints{.ai_flags = flags,
                         .ai_family = AF_UNSPEC,
                         .ai_socktype = SOCK_STREAM,
                         .ai_protocol = 0,
                         .ai_addrlen = 0,
                         .ai_addr = nullptr,
                         .ai_canonname = nullptr,
                         .ai_next = nullptr};
    addrinfo* found = nullptr;
    status = getaddrinfo(host.c_str(), port.c_str(), &hints, &found);
    addresses.reset(found);
  }
};

Result<Addresses> look_up(const std::string& host, std::uint16_t port, Deadline deadline, int stop) {
  const auto lookup = std::make_shared<Lookup>();
  lookup->host = host;
  lookup->port = std::to_string(port);
  lookup->run(AI_NUMERICHOST | AI_NUMERICSERV);
  if (lookup->status == EAI_NONAME) {
    // It may take half a minute, and nothing ends it: let it go its own way then.
    std::thread([lookup] {
      lookup->run(AI_NUMERICSERV);
      lookup->ended.test_and_set();
      eventfd_write(lookup->done.get(), 1);
    }).detach();
    if (auto waited = wait_for(lookup->done.get(), POLLIN, deadline, stop); !waited) {
      return fail("resolve '" + host + "': " + waited.error().message);
    }
    lookup->ended.wait(false);
  }
  if (lookup->status != 0) {
    return fail("resolve '" + host + "': " + gai_strerror(lookup->status));
  }
  return std::move(lookup->addresses);
}

Result<FileDescriptor> connect_to(const addrinfo& address, Deadline deadline, int stop) {
  FileDescriptor socket(::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, address.ai_protocol));
  if (socket.get() < 0) {
    return fail_errno("open a socket", errno);
  }
  int error = connect(socket.get(), address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (error == EINPROGRESS) {
    if (auto waited = wait_for(socket.get(), POLLOUT, deadline, stop); !waited) {
      return fail("connect: " + waited.error().message);
    }
    socklen_t length = sizeof(error);
    getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  }
  if (error != 0) {
    return fail_errno("connect", error);
  }
  const int yes = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  return socket;
}

/// Asks an HTTP proxy for a tunnel (RFC 9110, 9.3.6).
Result<void> ask_for_tunnel(int socket, const HttpProxy& proxy, const std::string& authority, Deadline deadline,
                            int stop) {
  constexpr std::size_t kLongestAnswer = 8192;
  std::string question = "CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n";
  if (!proxy.authorization.empty()) {
    question += "Proxy-Authorization: " + proxy.authorization + "\r\n";
  }
  question += "\r\n";
  if (send(socket, question.data(), question.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(question.size())) {
    return fail_errno("ask the proxy", errno);
  }
  // Byte by byte: what follows the answer is not the proxy's any more.
  std::string answer;
  while (!answer.ends_with("\r\n\r\n") && answer.size() < kLongestAnswer) {
    char byte = 0;
    const ssize_t got = recv(socket, &byte, 1, 0);
    if (got == 1) {
      answer += byte;
    } else if (got == 0) {
      return fail("the proxy closed the connection");
    } else if (errno != EAGAIN) {
      return fail_errno("read the proxy's answer", errno);
    } else if (auto waited = wait_for(socket, POLLIN, deadline, stop); !waited) {
      return fail("the proxy: " + waited.error().message);
    }
  }
  if (!answer.starts_with("HTTP/1.") || answer.substr(8, 2) != " 2") {
    return fail("the proxy refuses: " + answer.substr(0, std::min<std::size_t>(answer.find('\r'), 80)));
  }
  return {};
}

std::string authority_of(const std::string& host, std::uint16_t port) {
  return (host.contains(':') ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

}  // namespace

Result<void> wait_for(int fd, short events, Deadline deadline, int stop) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    std::array<pollfd, 2> fds{pollfd{.fd = fd, .events = events, .revents = 0},
                              pollfd{.fd = stop, .events = POLLIN, .revents = 0}};
    const int ready = poll(fds.data(), fds.size(), static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30)));
    if (ready < 0 && errno != EINTR) {
      return fail_errno("wait for the network", errno);
    }
    if (ready > 0) {
      return fds[1].revents == 0 ? Result<void>() : fail("stopped");
    }
    if (ready == 0) {
      return fail("timed out");
    }
  }
}

Result<FileDescriptor> tcp_connect(const std::string& host, std::uint16_t port, const std::optional<HttpProxy>& proxy,
                                   Deadline deadline, int stop) {
  const std::string& first_host = proxy ? proxy->host : host;
  const std::uint16_t first_port = proxy ? proxy->port : port;
  const std::string via = proxy ? "proxy " + authority_of(first_host, first_port) + ": " : "";
  const auto addresses = look_up(first_host, first_port, deadline, stop);
  if (!addresses) {
    return fail(via + addresses.error().message);
  }
  Result<FileDescriptor> connected = fail("resolve '" + first_host + "': no address");
  for (const addrinfo* address = addresses->get(); address != nullptr; address = address->ai_next) {
    connected = connect_to(*address, deadline, stop);
    if (connected) {
      break;
    }
  }
  if (!connected) {
    return fail(via + connected.error().message);
  }
  if (proxy) {
    if (auto tunnel = ask_for_tunnel(connected->get(), *proxy, authority_of(host, port), deadline, stop); !tunnel) {
      return fail(via + tunnel.error().message);
    }
  }
  return connected;
}

}  // namespace hairpind
