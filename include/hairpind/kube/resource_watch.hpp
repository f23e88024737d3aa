// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "hairpind/kube/api_client.hpp"
#include "hairpind/kube/collection.hpp"

namespace hairpind {

/// Keeps up with one collection of the API server: list, then watch from there, for ever, in a thread of its own
/// (Kubernetes API concepts, "Efficient detection of changes"). Whatever the server does, what was told stays.
class ResourceWatch {
 public:
  /// Called from the watch's thread.
  struct Handlers {
    /// The whole collection begins: what is not told until list_ended() is gone. It may begin anew before it ends.
    std::function<void()> list_begun;
    /// Null for an object that is larger than any true one, and so has been passed over.
    std::function<void(const nlohmann::json& object)> upserted;
    std::function<void(const nlohmann::json& object)> deleted;
    std::function<void()> list_ended;
    /// In step with the server, or not any more and why. Of what it does not grant, though it need not: in step, and
    /// why nothing comes.
    std::function<void(bool synced, const std::string& why)> state;
  };
  struct Options {
    Collection collection;
    /// The server may be too old to know the field selector: then all is asked for.
    bool selector_may_be_refused = false;
    /// The server may not have the kind, or not grant it: then there is nothing to be in step with, and it is asked
    /// again after so long. Zero: it must have it.
    std::chrono::milliseconds absent_pause{0};
    int page_size = 500;
    std::chrono::milliseconds first_backoff{100};
    std::chrono::milliseconds longest_backoff{30000};
    /// Where a second try fails, too, and where a watch ends before its time, the next comes within so long.
    std::chrono::milliseconds spread{10000};
    /// A watch ends by itself after two thirds of that at least: shorter than any proxy's patience.
    std::chrono::seconds longest_watch{290};
    /// A watch on which nothing comes for so long, not even a bookmark, is taken for dead and begun again.
    std::chrono::milliseconds silence{75000};
  };

  ResourceWatch(Options options, std::unique_ptr<ApiClient> client, Handlers handlers);
  ~ResourceWatch();
  ResourceWatch(const ResourceWatch&) = delete;
  ResourceWatch& operator=(const ResourceWatch&) = delete;

  /// Does not wait: several can be stopped before each is destroyed, which does.
  void stop();

 private:
  class Worker;
  std::unique_ptr<Worker> worker_;
};

}  // namespace hairpind
