// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "hairpind/core/event.hpp"

namespace hairpind {

/// Whom Cilium's numeric security identities stand for, as far as it is known: the reserved ones by their names, others
/// as the API server has told.
///
/// Bounded; time comes in as an argument. Not thread safe; owned by the event loop.
class CiliumIdentities {
 public:
  /// Whoever has been asked about longest ago is forgotten for one more.
  static constexpr std::size_t kMost = 256;
  /// Labels of an identity never change, but an answer may have been missed, or the right to ask.
  static constexpr std::chrono::minutes kAskAgain{10};

  /// Its labels as Cilium writes them: "k8s:app=web", "reserved:host". Empty where nothing is known.
  [[nodiscard]] std::vector<std::string> labels(std::uint32_t identity) const;
  /// Is the API server to be asked about it now? Counts as asked. Never about those that are no object there: reserved
  /// ones, and those that a node makes for itself (prefixes of addresses).
  bool is_to_be_asked(std::uint32_t identity, SinceBoot now);
  /// What it answered.
  void set(std::uint32_t identity, std::vector<std::string> labels);

 private:
  struct Asked {
    SinceBoot when{};
    std::vector<std::string> labels;
  };

  std::map<std::uint32_t, Asked> asked_;
};

}  // namespace hairpind
