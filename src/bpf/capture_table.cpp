// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/capture_table.hpp"

#include "hairpind/abi.h"

namespace hairpind {

Result<void> CaptureTable::set(const CallingPair& pair, std::uint32_t attempts) {
  const hp_caller_key key{.client = pair.client.to_abi(), .lb = pair.load_balancer.to_abi()};
  Result<void> done;
  if (attempts == 0) {
    remove(kernel_.captures, key);
    pairs_.erase(pair);
  } else if (done = put(kernel_.captures, key, attempts, pair.load_balancer.to_string()); done) {
    pairs_.insert(pair);
  }
  kernel_.set_armed(static_cast<std::uint32_t>(pairs_.size()));
  return done;
}

}  // namespace hairpind
