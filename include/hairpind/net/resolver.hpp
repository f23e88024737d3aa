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

/// The addresses of one host name now: those of the newest answers, and those that left them a short while ago.
struct Resolution {
  std::string name;
  std::set<IpAddress> addresses;
};

/// Keeps host names resolved, A and AAAA, in a thread of its own, each asked for again when its TTL ends.
///
/// What a pod resolves may be another address of the same load balancer than the node's servers give: so the zonal
/// names of an AWS Network Load Balancer (zonal_names()) are asked for, too, and where they are given the cluster's
/// servers. All answers together are a name's addresses; who fails takes away nothing. These further questions are
/// rare, and never many at once: each node asks them.
class Resolver {
 public:
  struct Options {
    std::chrono::milliseconds shortest_ttl = std::chrono::seconds(5);
    std::chrono::milliseconds longest_ttl = std::chrono::seconds(60);
    std::chrono::milliseconds retry = std::chrono::seconds(5);  ///< after a failure
    /// An address that left the answer still counts for so long: clients hold on to what they resolved.
    std::chrono::milliseconds grace = std::chrono::minutes(5);
    /// Between two further questions for the same name, whatever the TTL: an address in a zone stays for the load
    /// balancer's life. The cluster's servers are asked each longest_ttl where the node's have no answer.
    std::chrono::milliseconds rare = std::chrono::minutes(10);
    /// The same for a zonal name that there is not: a zone may be added.
    std::chrono::milliseconds absent = std::chrono::hours(1);
    /// Between two further questions of any names.
    std::chrono::milliseconds spacing = std::chrono::milliseconds(20);
    std::size_t most_addresses = 64;  ///< of one name
    std::string servers;              ///< "ADDR:PORT,..." instead of resolv.conf(5); for tests
    std::string cluster_servers;      ///< "ADDR[:PORT],..."; asked beside the node's; empty: none
  };
  /// Both are called from the resolver's thread: OnChange when a name's addresses have changed, OnError once when a
  /// name begins to fail at the node's or at the cluster's servers, or to have more addresses than are kept. A failing
  /// name keeps its addresses.
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
