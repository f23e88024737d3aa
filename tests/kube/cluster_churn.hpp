// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "api_server.hpp"

namespace hairpind::testing {

/// A large cluster and its changes, as a busy one's: Services and pods of namespace "big", the pods on node "n1".
class ClusterChurn {
 public:
  struct Move {
    std::string service;  ///< its name
    std::string from;     ///< the address of its load balancer before
    std::string to;       ///< and now
  };

  /// Fills the server. `load_balancers`: so many of the Services are of that type, the others have a ClusterIP.
  ClusterChurn(ApiServer& server, int services, int pods, int load_balancers);

  /// One more change: mostly annotations, as controllers write them, but also addresses, Services and pods that go and
  /// others that come.
  void change();
  /// The newest change of an address.
  [[nodiscard]] const Move& last_move() const { return last_move_; }

 private:
  [[nodiscard]] bool is_load_balancer(int service) const;
  [[nodiscard]] std::string address_of(int service) const;
  void put_service(int service);
  void put_pod(int pod);

  ApiServer& server_;
  int load_balancers_;
  std::vector<int> moves_;     ///< by Service
  std::vector<int> restarts_;  ///< by pod
  int changes_ = 0;
  Move last_move_;
};

}  // namespace hairpind::testing
