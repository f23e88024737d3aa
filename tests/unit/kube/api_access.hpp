// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <thread>

#include "api_server.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind::testing {

/// As a pod with the server's token has it.
inline ClusterAccess access_to(const ApiServer& server) {
  ClusterAccess access;
  access.host = "127.0.0.1";
  access.port = server.port();
  access.ca.text = server.certificates().ca;
  access.token = server.token();
  return access;
}

/// Waits for `condition`, half a minute at most.
template <typename Condition>
bool eventually(Condition condition) {
  for (int i = 0; i < 3000; i++) {
    if (condition()) {
      return true;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace hairpind::testing
