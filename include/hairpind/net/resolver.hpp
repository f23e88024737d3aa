// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "hairpind/core/address.hpp"
#include "hairpind/core/error.hpp"

namespace hairpind {

/// The addresses of one host name now: those of the newest answer, and those that left it a short while ago.
struct Resolution {
  std::string name;
  std::set<IpAddress> addresses;
};

/// Keeps host names resolved, A and AAAA, in a thread of its own, each asked for again when its TTL ends.
class Resolver {
 public:
  struct Options {
    std::chrono::milliseconds shortest_ttl = std::chrono::seconds(5);
    std::chrono::milliseconds longest_ttl = std::chrono::seconds(60);
    std::chrono::milliseconds retry = std::chrono::seconds(5);  ///< after a failure
    /// An address that left the answer still counts for so long: clients hold on to what they resolved.
    std::chrono::milliseconds grace = std::chrono::minutes(5);
    std::size_t most_addresses = 64;  ///< of one name
    std::string servers;              ///< "ADDR:PORT,..." instead of resolv.conf(5); for tests
  };
  /// Both are called from the resolver's thread: OnChange when a name's addresses have changed, OnError once when a
  /// name begins to fail, or to have more addresses than are kept. A failing name keeps its addresses.
  using OnChange = std::function<void(Resolution)>;
  using OnError = std::function<void(const std::string& name, const std::string& why)>;

  static Result<std::unique_ptr<Resolver>> start(Options options, OnChange on_change, OnError on_error);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  /// Drops names, then adds some: each added one is asked for at once and told of at its next answer, even if it was
  /// there before. What a dropped one answered is forgotten. Thread safe.
  void change_names(const std::set<std::string>& added, const std::set<std::string>& dropped = {});

 private:
  class Worker;
  explicit Resolver(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace hairpind
