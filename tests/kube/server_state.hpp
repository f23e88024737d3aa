// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <httplib.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "api_server.hpp"
#include "connections.hpp"
#include "faults.hpp"
#include "protocol.hpp"
#include "store.hpp"

namespace hairpind::testing {

using Clock = std::chrono::steady_clock;

/// A line of a watch.
std::string event_line(const std::string& type, const std::string& object);

struct ApiServer::State {
  struct Watch {
    Scope scope;
    std::deque<std::string> pending;  ///< each event is put here as it happens: compact() takes nothing from it
    bool bookmarks = false;
    Clock::time_point next_bookmark;
    std::optional<Clock::time_point> deadline;
    std::optional<End> end;  ///< a clean one after what is pending
    std::minstd_rand cuts;
  };
  using WatchPtr = std::shared_ptr<Watch>;

  explicit State(ApiServerOptions given)
      : options(std::move(given)), server([this](SSL_CTX& tls) { return set_up(tls); }) {}

  bool set_up(SSL_CTX& tls);
  void start();
  void stop();

  void handle(const httplib::Request& request, httplib::Response& response);
  [[nodiscard]] std::optional<std::string> user_of(const httplib::Request& request) const;
  [[nodiscard]] bool is_allowed(const std::string& request) const {
    return !permissions || permissions->contains(request);
  }
  /// Is there such a kind in this cluster?
  [[nodiscard]] bool is_served(const Resource& resource) const {
    return *resource.type == '\0' || options.schema.contains(resource.type) ||
           resource.kind == std::string("Namespace");
  }
  /// May clients make and change it?
  [[nodiscard]] bool is_writable(const Resource& resource) const {
    return resource.kind == std::string("Event") || options.schema.contains(resource.type);
  }
  void review_access(const httplib::Request& request, httplib::Response& response) const;
  void get(const httplib::Request& request, httplib::Response& response, const Target& target);
  void create(const httplib::Request& request, httplib::Response& response, const Target& target);
  void patch(const httplib::Request& request, httplib::Response& response, const Target& target);
  /// What is wrong with an object that shall be; null if nothing.
  [[nodiscard]] nlohmann::ordered_json fault_of(const Resource& resource, const nlohmann::json& object,
                                                const httplib::Request& request, const Target& target) const;
  /// Keeps it, but for a dry run.
  void keep(const httplib::Request& request, httplib::Response& response, int status, const Resource& resource,
            nlohmann::json object);
  void list(const httplib::Request& request, httplib::Response& response, const Scope& scope) const;
  void watch(const httplib::Request& request, httplib::Response& response, const Scope& scope);
  bool send(Watch& watch, int fd, httplib::DataSink& sink);

  void tell(const Event& event);
  template <typename Action>
  std::size_t for_watches(const std::string& resource, Action action) {
    const std::scoped_lock lock(mutex);
    std::size_t count = 0;
    for (const WatchPtr& watch : watches) {
      if (!watch->end && (resource.empty() || resource == watch->scope.resource->name)) {
        action(*watch);
        count++;
      }
    }
    changed.notify_all();
    return count;
  }

  ApiServerOptions options;
  mutable std::mutex mutex;
  std::condition_variable changed;  ///< anything below that a watch or a stalled request waits for
  ObjectStore store;
  std::optional<std::set<std::string>> permissions;
  Faults faults;
  FailNext failing;
  std::vector<std::pair<std::string, std::string>> log;  ///< request, target
  mutable std::atomic<std::size_t> compressed{0};
  std::set<WatchPtr> watches;
  bool stopping = false;

  Connections connections;  ///< longer than the server, whose sessions it follows

  httplib::SSLServer server;  ///< last of what requests use, but for the thread
  std::thread thread;
  std::uint16_t port = 0;
};

}  // namespace hairpind::testing
