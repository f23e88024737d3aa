// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

namespace hairpind {

/// How long to wait before the next try, so that the agents of a large cluster, which lose their API server at the same
/// moment, do not come back at the same moment. Pure, but for the random source that it is handed.
class Backoff {
 public:
  using Milliseconds = std::chrono::milliseconds;

  struct Options {
    Milliseconds first{100};     ///< after the first failure, which may be nothing but a moment's
    Milliseconds spread{10000};  ///< over which all agents come back that have been cut off together
    Milliseconds longest{30000};
  };

  explicit Backoff(Options options) : options_(options), next_(std::max(options.first, options.spread)) {}

  /// A try has failed. After the second in a row anywhere within the spread, then twice as long each time.
  template <typename Random>
  Milliseconds failed(Random& random) {
    const int before = failures_;
    failures_ = std::min(failures_ + 1, 2);
    if (before == 0) {
      return options_.first;
    }
    if (before == 1) {
      return between(Milliseconds(0), options_.spread, random);
    }
    const auto longest = std::min(std::exchange(next_, std::min(next_ * 2, options_.longest)), options_.longest);
    return between(longest / 2, longest, random);
  }
  /// What went well has ended, and so it may have for all others.
  template <typename Random>
  Milliseconds ended(Random& random) const {
    return between(Milliseconds(0), options_.spread, random);
  }
  /// The server is well again.
  void reset() { *this = Backoff(options_); }

 private:
  template <typename Random>
  static Milliseconds between(Milliseconds least, Milliseconds most, Random& random) {
    return Milliseconds(std::uniform_int_distribution<Milliseconds::rep>(least.count(), most.count())(random));
  }

  Options options_;
  Milliseconds next_;
  int failures_ = 0;  ///< in a row, up to two
};

}  // namespace hairpind
