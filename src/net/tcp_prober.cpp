// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/tcp_prober.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

using Clock = std::chrono::steady_clock;

// A load balancer has others to serve.
constexpr std::size_t kAtOnce = 16;

struct Attempt {
  FileDescriptor socket;
  Endpoint load_balancer;
  Clock::time_point begun;
};

sockaddr_storage sockaddr_of(const Endpoint& endpoint) {
  sockaddr_storage storage{};
  if (endpoint.address.is_v4()) {
    auto* const v4 = reinterpret_cast<sockaddr_in*>(&storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(endpoint.port);
    std::memcpy(&v4->sin_addr, endpoint.address.bytes.data() + 12, sizeof(v4->sin_addr));
  } else {
    auto* const v6 = reinterpret_cast<sockaddr_in6*>(&storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(endpoint.port);
    std::memcpy(&v6->sin6_addr, endpoint.address.bytes.data(), sizeof(v6->sin6_addr));
  }
  return storage;
}

std::optional<IpAddress> address_of(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    return IpAddress::from_network(&reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
  }
  if (address.sa_family == AF_INET6) {
    return IpAddress::from_network(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
  }
  return std::nullopt;
}

Result<Attempt> begin(const Endpoint& load_balancer) {
  Attempt attempt{.socket = FileDescriptor(socket(load_balancer.address.is_v4() ? AF_INET : AF_INET6,
                                                  SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)),
                  .load_balancer = load_balancer,
                  .begun = Clock::now()};
  if (attempt.socket.get() < 0) {
    return fail_errno("open a TCP socket", errno);
  }
  const sockaddr_storage address = sockaddr_of(load_balancer);
  const socklen_t size = load_balancer.address.is_v4() ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  // Refused at once is told by the socket, too.
  if (connect(attempt.socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0 && errno != EINPROGRESS &&
      errno != ECONNREFUSED) {
    return fail_errno("connect to " + load_balancer.to_string(), errno);
  }
  return attempt;
}

/// Nothing while it goes on.
std::optional<TriedHandshake> ended(const Attempt& attempt, short events, Clock::time_point now,
                                    std::chrono::milliseconds timeout) {
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(now - attempt.begun);
  TriedHandshake tried{.load_balancer = attempt.load_balancer, .ended = Handshake::kUnanswered, .took = took};
  if (events == 0) {
    return took < timeout ? std::nullopt : std::optional(tried);
  }
  int error = 0;
  socklen_t size = sizeof(error);
  getsockopt(attempt.socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error == 0 && (events & POLLERR) == 0) {
    tried.ended = Handshake::kAnswered;
  } else if (error == ECONNREFUSED || error == ECONNRESET) {
    tried.ended = Handshake::kRefused;
  }
  return tried;
}

/// Takes those that have ended out of `open`, after at most the wait that the next time-out allows.
Result<void> take_ended(std::vector<Attempt>& open, std::chrono::milliseconds timeout,
                        std::vector<TriedHandshake>& tried) {
  std::vector<pollfd> fds;
  auto wait = timeout;
  const auto before = Clock::now();
  for (const Attempt& attempt : open) {
    fds.push_back({.fd = attempt.socket.get(), .events = POLLOUT, .revents = 0});
    wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(attempt.begun + timeout - before));
  }
  if (poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(wait.count(), 0))) < 0 && errno != EINTR) {
    return fail_errno("wait for TCP handshakes", errno);
  }
  const auto now = Clock::now();
  std::vector<Attempt> left;
  for (std::size_t i = 0; i < open.size(); i++) {
    if (const auto handshake = ended(open[i], fds[i].revents, now, timeout)) {
      tried.push_back(*handshake);
    } else {
      left.push_back(std::move(open[i]));
    }
  }
  open = std::move(left);
  return {};
}

}  // namespace

Result<std::vector<Endpoint>> resolve_now(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  // No IPv6 addresses for a pod without IPv6.
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* raw = nullptr;
  const int status = getaddrinfo(host.c_str(), nullptr, &hints, &raw);
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> found(raw, &freeaddrinfo);
  if (status != 0) {
    return fail("resolve '" + host + "': " + (status == EAI_SYSTEM ? std::strerror(errno) : gai_strerror(status)));
  }
  std::vector<Endpoint> endpoints;
  for (const addrinfo* each = found.get(); each != nullptr; each = each->ai_next) {
    const auto address = address_of(*each->ai_addr);
    if (const Endpoint endpoint{.address = address.value_or(IpAddress{}), .port = port};
        address && std::ranges::find(endpoints, endpoint) == endpoints.end()) {
      endpoints.push_back(endpoint);
    }
  }
  return endpoints;
}

Result<std::vector<TriedHandshake>> probe(const ProbePlan& plan, const std::function<void(std::size_t)>& progress) {
  std::vector<TriedHandshake> tried;
  std::vector<Attempt> open;
  std::size_t begun = 0;
  while (tried.size() < plan.connections) {
    while (begun < plan.connections && open.size() < kAtOnce) {
      auto attempt = begin(plan.load_balancers.at(begun % plan.load_balancers.size()));
      if (!attempt) {
        return std::unexpected(attempt.error());
      }
      open.push_back(*std::move(attempt));
      begun++;
    }
    if (auto taken = take_ended(open, plan.timeout, tried); !taken) {
      return std::unexpected(taken.error());
    }
    progress(tried.size());
  }
  return tried;
}

}  // namespace hairpind
