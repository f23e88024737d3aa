// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hairpind/bpf/frontend_table.hpp"
#include "hairpind/core/cluster.hpp"
#include "hairpind/core/frontend.hpp"
#include "hairpind/net/resolver.hpp"
#include "learned_load_balancers.hpp"
#include "status_board.hpp"

namespace hairpind {

/// Which load balancers are to be watched for, whoever knows of them: a new source is an Origin and a function here.
///
/// Owns: what each origin has named, and what the kernel's table had no room for, which it tries again. Called by: the
/// event loop. Never takes out what another origin still names. What was learned gives way where there is no room.
class WatchList {
 public:
  WatchList(FrontendTable& table, const std::vector<LoadBalancerSpec>& configured);

  /// The host names among the configured, which somebody is to resolve.
  [[nodiscard]] const std::set<std::string>& hosts() const { return hosts_; }
  /// DNS says so of a name. Of one that is not configured it is not for this part.
  void on_resolution(const Resolution& resolution);
  /// The cluster's Services have come, gone or changed.
  void on_cluster(const WatchChanges& changes);
  /// Load balancers that nobody names have been found, or not been called for long.
  void on_learned(const LearnedChanges& changes);
  /// Once a second: what has found no room.
  void retry();

  /// Who names a load balancer; nullopt if nobody does.
  [[nodiscard]] std::optional<LoadBalancerOrigin> origin_of(const Endpoint& load_balancer) const;
  [[nodiscard]] WatchStatus status() const;
  /// Those that are watched by address and port; none where they are many.
  [[nodiscard]] std::vector<Endpoint> listed() const;

 private:
  enum Origin : unsigned { kConfigured = 1, kKubernetes = 2, kLearned = 4 };

  void change(Origin origin, const std::vector<Frontend>& added, const std::vector<Frontend>& removed);
  void write(std::vector<Frontend> added, const std::vector<Frontend>& removed);
  /// What nobody names makes room for what somebody does.
  void give_way(FrontendTable::Refused& refused);
  [[nodiscard]] std::set<Frontend> configured() const;

  FrontendTable& table_;
  std::vector<LoadBalancerSpec> specs_;
  std::set<std::string> hosts_;
  std::map<std::string, std::set<IpAddress>> resolved_;  ///< of hosts_
  std::set<Frontend> from_configuration_;                ///< what specs_ are now
  std::map<Frontend, unsigned> wanted_;                  ///< Origins that name it
  std::set<Frontend> refused_;                           ///< of the wanted: not in the kernel
};

}  // namespace hairpind
