// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "hairpind/core/error.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// Asks the API server for single CiliumIdentity objects, in a thread of its own, and keeps the answers until somebody
/// takes them. A cluster without them, or one that does not grant the right to get them, has none: no error, and
/// nothing is logged.
class CiliumIdentityReader {
 public:
  /// More never wait for their turn; a question beyond is forgotten.
  static constexpr std::size_t kMostWaiting = 16;
  /// After a server that could not be asked, or refused, nobody is asked for so long.
  static constexpr std::chrono::minutes kPause{1};

  static Result<std::unique_ptr<CiliumIdentityReader>> start(const ClusterAccess& access);
  /// Waits for the thread, which may be at its server.
  ~CiliumIdentityReader();
  CiliumIdentityReader(const CiliumIdentityReader&) = delete;
  CiliumIdentityReader& operator=(const CiliumIdentityReader&) = delete;

  /// Does not wait. Thread safe.
  void ask(std::uint32_t identity);
  /// Labels by identity, of those that the server has, since the last call. Thread safe.
  std::map<std::uint32_t, std::vector<std::string>> take();

 private:
  class Worker;
  explicit CiliumIdentityReader(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace hairpind
