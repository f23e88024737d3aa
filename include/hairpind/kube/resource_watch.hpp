// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "hairpind/core/error.hpp"
#include "hairpind/kube/api_client.hpp"
#include "hairpind/kube/collection.hpp"

namespace hairpind {

/// Keeps up with one collection of the API server: list, then watch from there, for ever, in a thread of its own
/// (Kubernetes API concepts, "Efficient detection of changes"). Whatever the server does, what was told stays.
class ResourceWatch {
 public:
  /// Called from the watch's thread.
  struct Handlers {
    /// The whole collection, page by page; `last` with the final one. What is on no page is gone.
    std::function<void(const std::vector<nlohmann::json>& objects, bool first, bool last)> listed;
    std::function<void(const nlohmann::json& object)> upserted;
    std::function<void(const nlohmann::json& object)> deleted;
    /// In step with the server, or not any more and why.
    std::function<void(bool synced, const std::string& why)> state;
  };
  struct Options {
    Collection collection;
    int page_size = 500;
    std::chrono::milliseconds first_backoff{500};
    std::chrono::milliseconds longest_backoff{30000};
    /// A watch on which nothing comes for so long, not even a bookmark, is taken for dead and begun again.
    std::chrono::seconds silence{75};
  };

  ResourceWatch(Options options, std::unique_ptr<ApiClient> client, Handlers handlers);
  ~ResourceWatch();
  ResourceWatch(const ResourceWatch&) = delete;
  ResourceWatch& operator=(const ResourceWatch&) = delete;

 private:
  enum class Ended : std::uint8_t { kClosed, kExpired, kFailed };

  void run();
  bool list();
  Ended watch();
  std::optional<Ended> handle_line(std::string_view line);
  void failed(const ApiRefusal& refusal);
  void failed(const std::string& why);
  void wait_before_retry();

  const Options options_;
  const std::unique_ptr<ApiClient> client_;
  const Handlers handlers_;

  // The thread's own.
  std::string resource_version_;
  std::chrono::milliseconds backoff_;
  std::optional<std::chrono::seconds> asked_to_wait_;
  std::mt19937 random_{std::random_device{}()};

  std::mutex mutex_;
  std::condition_variable stop_requested_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hairpind
