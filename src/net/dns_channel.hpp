// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ares.h>
#include <poll.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// What DNS says of a name, A and AAAA.
struct DnsAnswer {
  std::vector<IpAddress> addresses;  ///< none: see `why`
  std::chrono::seconds ttl{0};       ///< the shortest of theirs
  std::vector<std::string> aliases;  ///< the names that the name stands for (CNAME)
  std::string why;                   ///< there are no addresses
  bool absent = false;               ///< the servers were asked, and know none
};

/// One set of DNS servers, asked without waiting: c-ares' channel, its sockets and its time-outs.
///
/// Threads: none of its own, and one caller. Stays where it is: c-ares keeps pointers to it.
class DnsChannel {
 public:
  /// Called within handle(), or when the question could not be put, within ask(). Not for a question that is still
  /// open when the channel ends.
  using OnAnswer = std::function<void(const DnsAnswer&)>;

  /// `servers`: "ADDR[:PORT],..."; empty: those of resolv.conf(5), which is read again after a failure.
  static Result<std::unique_ptr<DnsChannel>> open(std::string servers);
  ~DnsChannel() = default;
  DnsChannel(const DnsChannel&) = delete;
  DnsChannel& operator=(const DnsChannel&) = delete;

  void ask(const std::string& name, OnAnswer on_answer);

  /// What is to be polled.
  void add_to(std::vector<pollfd>& fds) const;
  /// Until when at most; nothing: no matter.
  [[nodiscard]] std::optional<std::chrono::milliseconds> timeout() const;
  /// After the poll, with at least what add_to() has added, and at timeouts.
  void handle(std::span<const pollfd> fds);

  [[nodiscard]] const std::string& servers() const { return servers_; }

 private:
  struct ChannelDeleter {
    void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
  };
  struct Question {
    DnsChannel* channel;
    OnAnswer on_answer;
  };

  explicit DnsChannel(std::string servers) : servers_(std::move(servers)) {}
  Result<void> open_channel();
  void watch(ares_socket_t socket, bool readable, bool writable);
  static void answered(void* context, int status, int timeouts, ares_addrinfo* answer);

  const std::string servers_;
  std::map<ares_socket_t, short> sockets_;  ///< with their events
  int asking_ = 0;
  bool suspect_ = false;  ///< may hold servers of yesterday
  /// Last: when it ends, it tells of its sockets and questions.
  std::unique_ptr<ares_channeldata, ChannelDeleter> channel_;
};

}  // namespace hairpind
