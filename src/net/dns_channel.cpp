// SPDX-License-Identifier: Apache-2.0
#include "dns_channel.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace hairpind {
namespace {

std::optional<IpAddress> address_of(const ares_addrinfo_node& node) {
  if (node.ai_family == AF_INET) {
    return IpAddress::from_network(&reinterpret_cast<const sockaddr_in*>(node.ai_addr)->sin_addr, 4);
  }
  if (node.ai_family == AF_INET6) {
    return IpAddress::from_network(&reinterpret_cast<const sockaddr_in6*>(node.ai_addr)->sin6_addr, 16);
  }
  return std::nullopt;
}

DnsAnswer to_answer(int status, const ares_addrinfo* info) {
  DnsAnswer answer;
  if (status == ARES_SUCCESS && info != nullptr) {
    std::optional<std::chrono::seconds> ttl;
    for (const ares_addrinfo_node* node = info->nodes; node != nullptr; node = node->ai_next) {
      if (const auto address = address_of(*node)) {
        answer.addresses.push_back(*address);
        ttl = std::min(ttl.value_or(std::chrono::seconds(node->ai_ttl)), std::chrono::seconds(node->ai_ttl));
      }
    }
    for (const ares_addrinfo_cname* alias = info->cnames; alias != nullptr; alias = alias->next) {
      answer.aliases.emplace_back(alias->name);
    }
    answer.ttl = ttl.value_or(std::chrono::seconds(0));
  }
  if (answer.addresses.empty()) {
    const int reason = status == ARES_SUCCESS ? ARES_ENODATA : status;
    answer.why = ares_strerror(reason);
    answer.absent = reason == ARES_ENODATA || reason == ARES_ENOTFOUND;
  }
  return answer;
}

}  // namespace

Result<std::unique_ptr<DnsChannel>> DnsChannel::open(std::string servers) {
  std::unique_ptr<DnsChannel> channel(new DnsChannel(std::move(servers)));
  if (auto opened = channel->open_channel(); !opened) {
    return std::unexpected(opened.error());
  }
  return channel;
}

Result<void> DnsChannel::open_channel() {
  ares_options options{};
  // Two tries of two seconds for each server: an answer that takes longer is asked for again anyway.
  options.timeout = 2000;
  options.tries = 2;
  options.sock_state_cb = [](void* self, ares_socket_t socket, int readable, int writable) {
    static_cast<DnsChannel*>(self)->watch(socket, readable != 0, writable != 0);
  };
  options.sock_state_cb_data = this;
  ares_channel channel = nullptr;
  if (const int status =
          ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
      status != ARES_SUCCESS) {
    return fail(std::string("start the DNS resolver (is /etc/resolv.conf readable?): ") + ares_strerror(status));
  }
  channel_.reset(channel);
  if (!servers_.empty()) {
    if (const int status = ares_set_servers_ports_csv(channel, servers_.c_str()); status != ARES_SUCCESS) {
      return fail("use the DNS servers '" + servers_ + "': " + ares_strerror(status));
    }
  }
  return {};
}

void DnsChannel::watch(ares_socket_t socket, bool readable, bool writable) {
  if (!readable && !writable) {
    sockets_.erase(socket);
  } else {
    sockets_[socket] = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
  }
}

void DnsChannel::ask(const std::string& name, OnAnswer on_answer) {
  // c-ares reads resolv.conf once. A channel that may hold servers of yesterday is replaced while it is idle.
  if (suspect_ && asking_ == 0 && open_channel()) {
    suspect_ = false;
  }
  asking_++;
  const ares_addrinfo_hints hints{
      .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = 0};
  // Given back in answered(), which c-ares calls exactly once.
  ares_getaddrinfo(channel_.get(), name.c_str(), nullptr, &hints, answered,
                   new Question{.channel = this, .on_answer = std::move(on_answer)});
}

void DnsChannel::answered(void* context, int status, int /*timeouts*/, ares_addrinfo* answer) {
  const std::unique_ptr<Question> question(static_cast<Question*>(context));
  const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owned(answer, &ares_freeaddrinfo);
  question->channel->asking_--;
  if (status == ARES_EDESTRUCTION) {
    return;
  }
  const DnsAnswer told = to_answer(status, answer);
  question->channel->suspect_ |= told.addresses.empty();
  question->on_answer(told);
}

void DnsChannel::add_to(std::vector<pollfd>& fds) const {
  for (const auto& [socket, events] : sockets_) {
    fds.push_back({.fd = socket, .events = events, .revents = 0});
  }
}

std::optional<std::chrono::milliseconds> DnsChannel::timeout() const {
  timeval bound{};
  if (ares_timeout(channel_.get(), nullptr, &bound) == nullptr) {
    return std::nullopt;
  }
  return std::chrono::milliseconds(bound.tv_sec * 1000 + bound.tv_usec / 1000 + 1);
}

void DnsChannel::handle(std::span<const pollfd> fds) {
  for (const pollfd& each : fds) {
    // Another channel's; or one that has been closed by the processing of one before it.
    if (each.revents != 0 && sockets_.contains(each.fd)) {
      const bool readable = (each.revents & (POLLIN | POLLERR | POLLHUP)) != 0;
      const bool writable = (each.revents & POLLOUT) != 0;
      ares_process_fd(channel_.get(), readable ? each.fd : ARES_SOCKET_BAD, writable ? each.fd : ARES_SOCKET_BAD);
    }
  }
  ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

}  // namespace hairpind
