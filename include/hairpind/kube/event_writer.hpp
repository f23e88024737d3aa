// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "hairpind/core/error.hpp"
#include "hairpind/core/kubernetes_events.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// Writes Events to the API server, one after the other, in a thread of its own: by POST, by PATCH what has been told
/// before, and by POST again what has expired there meanwhile. Asks for the uid of an object that has none: by that
/// `kubectl describe` finds its Events. What cannot be told now waits and is tried again.
class EventWriter {
 public:
  /// More never wait for their turn: the oldest is lost.
  static constexpr std::size_t kMostWaiting = 64;
  /// In a namespace in which Events were forbidden the server is not asked again for so long.
  static constexpr std::chrono::hours kForbiddenPause{1};

  /// Called from the writer's thread: what keeps Events back and what to do, once, and an empty text once it is over.
  using OnTrouble = std::function<void(const std::string& why)>;
  struct Options {
    std::string node;  ///< that tells
    std::chrono::milliseconds first_backoff{100};
    std::chrono::milliseconds spread{10000};
    std::chrono::milliseconds longest_backoff{60000};
  };

  static Result<std::unique_ptr<EventWriter>> start(const ClusterAccess& access, Options options, OnTrouble on_trouble);
  /// Waits for the thread, which may be at its server; what still waits is not told.
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  /// Takes the place of an older one of its name. Does not wait. Thread safe, as the following.
  void put(KubernetesEvent event);
  [[nodiscard]] KubernetesEventCounts counts() const;

 private:
  class Worker;
  explicit EventWriter(std::unique_ptr<Worker> worker);
  std::unique_ptr<Worker> worker_;
};

}  // namespace hairpind
