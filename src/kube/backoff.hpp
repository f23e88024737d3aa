// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

namespace hairpind {

/// How long to wait before the next try: twice as long each time, with jitter, so that the agents of a cluster do not
/// all come back at once.
class Backoff {
 public:
  using Milliseconds = std::chrono::milliseconds;

  /// `start_jitter`: over how long the agents spread that all start while the server fails.
  Backoff(Milliseconds first, Milliseconds longest, Milliseconds start_jitter)
      : first_(first), longest_(longest), start_jitter_(start_jitter), next_(first) {}

  template <typename Random>
  Milliseconds next(Random& random) {
    if (start_jitter_ > Milliseconds(0)) {
      const auto spread = std::exchange(start_jitter_, Milliseconds(0));
      return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(0, spread.count())(random));
    }
    const auto longest = std::exchange(next_, std::min(next_ * 2, longest_));
    return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(longest.count() / 2, longest.count())(random));
  }
  /// The server has answered: this is not the start any more.
  void started() { start_jitter_ = Milliseconds(0); }
  /// The server is well again.
  void reset() { next_ = first_; }

 private:
  Milliseconds first_;
  Milliseconds longest_;
  Milliseconds start_jitter_;
  Milliseconds next_;
};

}  // namespace hairpind
