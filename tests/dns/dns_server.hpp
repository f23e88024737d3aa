// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/file_descriptor.hpp"

namespace hairpind::testing {

/// A DNS server on 127.0.0.1 over UDP and TCP (RFC 1035, 4.1): A, AAAA and CNAME records, failures, silence.
class DnsServer {
 public:
  struct Answer {
    std::vector<IpAddress> addresses;  ///< the last alias's, if there is one
    int response_code = 0;             ///< 3: NXDOMAIN
    bool silent = false;
    std::uint32_t ttl = 1;                                  ///< seconds, less than 256
    std::vector<std::string> aliases = {};                  ///< what the name is one for, and what that is (CNAME)
    bool truncated = false;                                 ///< over UDP: "ask by TCP", and no addresses
    std::optional<std::uint32_t> ttl_of_v6 = std::nullopt;  ///< where it is another one
  };

  /// Binds in the calling thread, and so in its network namespace. Port 0: any.
  explicit DnsServer(std::uint16_t port = 0);
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  /// What is answered for a name from now on; "" for each name that has no answer of its own, at first an empty one.
  void set(Answer answer, const std::string& name = "");
  /// "ADDR:PORT", as Resolver::Options::servers takes it.
  [[nodiscard]] std::string servers() const { return "127.0.0.1:" + std::to_string(port_); }
  /// How many there have been, whatever was answered.
  [[nodiscard]] int questions() const { return questions_; }
  [[nodiscard]] int questions(const std::string& name);

 private:
  void serve();
  void serve_datagram();
  void serve_connection();
  /// Makes the answer of a question; empty: silence.
  std::vector<std::uint8_t> reply(std::vector<std::uint8_t> message, bool over_tcp);
  Answer answer_for(const std::string& name);

  FileDescriptor socket_;
  FileDescriptor listener_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  std::map<std::string, Answer> answers_{{"", {}}};
  std::map<std::string, int> asked_;  ///< by name
  std::atomic<int> questions_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace hairpind::testing
