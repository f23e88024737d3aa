// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/event_writer.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string_view>
#include <thread>
#include <utility>

#include "backoff.hpp"
#include "hairpind/core/rfc3339.hpp"
#include "hairpind/kube/api_client.hpp"
#include "json_reading.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr const char* kComponent = "hairpind";
// What the server still fails over is something about the Event, as a webhook of its namespace that does not answer.
constexpr int kMostFailures = 10;
// Whoever may create namespaces can have many in which Events are forbidden.
constexpr std::size_t kMostForbidden = 256;

enum Status : std::uint16_t {
  kOk = 200,
  kCreated = 201,
  kUnauthorized = 401,
  kForbidden = 403,
  kNotFound = 404,
  kTimeout = 408,
  kConflict = 409,
  kTooMany = 429,
  kServerError = 500,
};

// metav1.Time: to the second.
std::string time_text(WallTime time) {
  return to_rfc3339(time).substr(0, std::string_view("2026-11-23T07:20:24").size()) + "Z";
}

Json created(const KubernetesEvent& event, const std::string& uid, const std::string& node) {
  Json object{{"apiVersion", event.object.api_version},
              {"kind", event.object.kind},
              {"namespace", event.object.namespace_name},
              {"name", event.object.name}};
  if (!uid.empty()) {
    object["uid"] = uid;
  }
  return {{"apiVersion", "v1"},
          {"kind", "Event"},
          {"metadata", {{"name", event.name}, {"namespace", event.object.namespace_name}}},
          {"involvedObject", std::move(object)},
          {"reason", event.reason},
          {"message", event.message},
          {"source", {{"component", kComponent}, {"host", node}}},
          {"firstTimestamp", time_text(event.first)},
          {"lastTimestamp", time_text(event.last)},
          {"count", event.count},
          {"type", event.warning ? "Warning" : "Normal"},
          {"reportingComponent", kComponent},
          {"reportingInstance", node}};
}

Json changed(const KubernetesEvent& event) {
  return {{"count", event.count}, {"lastTimestamp", time_text(event.last)}, {"message", event.message}};
}

/// In the API server, from its cache.
std::string path_of(const EventObject& object) {
  std::string path = object.api_version == "v1" ? "/api/" : "/apis/";
  path.append(object.api_version).append("/namespaces/").append(object.namespace_name);
  if (object.kind == "Service") {
    path += "/services/";
  } else if (object.kind == "Gateway") {
    path += "/gateways/";
  } else {
    path += object.kind == "Ingress" ? "/ingresses/" : "/pods/";
  }
  return path + object.name + "?resourceVersion=0";
}

// Node names come from outside: bytes that are no UTF-8 must not cost the Event.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Null for what is none.
nlohmann::json object_of(const ApiClient::Response& response) {
  return parse_object(response.body).value_or(nlohmann::json());
}

std::string refusal_of(const KubernetesEvent& event, const ApiClient::Response& response) {
  const std::string message = text_at(object_of(response), "/message");
  return "an Event of " + event.object.namespace_name + "/" + event.object.name + ": HTTP " +
         std::to_string(response.status) + (message.empty() ? "" : " (" + message + ")");
}

}  // namespace

class EventWriter::Worker {
 public:
  Worker(std::unique_ptr<ApiClient> client, Options options, OnTrouble on_trouble)
      : client_(std::move(client)),
        options_(std::move(options)),
        on_trouble_(std::move(on_trouble)),
        backoff_({.first = options_.first_backoff, .spread = options_.spread, .longest = options_.longest_backoff}),
        thread_([this] { run(); }) {}
  ~Worker() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    client_->stop();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void put(KubernetesEvent event) {
    {
      const std::scoped_lock lock(mutex_);
      if (const auto older = find(event.name); older != waiting_.end()) {
        older->event = std::move(event);
      } else {
        waiting_.push_back({.event = std::move(event)});
        drop_oldest();
      }
    }
    wake_.notify_all();
  }

  KubernetesEventCounts counts() const {
    const std::scoped_lock lock(mutex_);
    return counts_;
  }

 private:
  /// kNotAsked: it has been refused before. kFailed: the server has answered, and may do better another time.
  enum class Told : std::uint8_t { kWritten, kRefused, kNotAsked, kFailed, kUnanswered };
  struct Waiting {
    KubernetesEvent event;
    int failures = 0;
  };

  void run();
  std::optional<Waiting> next();
  Told tell(const KubernetesEvent& event);
  Result<ApiClient::Response> ask(const KubernetesEvent& event);
  Told judge(const KubernetesEvent& event, const ApiClient::Response& response);
  [[nodiscard]] bool is_forbidden(const std::string& namespace_name) const;
  void forbid(const std::string& namespace_name);
  void failed(const std::string& why);
  void count(Told told);
  void put_back(Waiting waiting, Told told);
  void wait_before_retry();
  /// The caller holds the lock, as of the next.
  std::deque<Waiting>::iterator find(const std::string& name) {
    return std::ranges::find_if(waiting_, [&](const Waiting& waiting) { return waiting.event.name == name; });
  }
  /// Of more than may wait.
  void drop_oldest() {
    if (waiting_.size() > kMostWaiting) {
      waiting_.pop_front();
      counts_.lost++;
    }
  }

  const std::unique_ptr<ApiClient> client_;
  const Options options_;
  const OnTrouble on_trouble_;

  // The thread's own.
  Backoff backoff_;
  std::optional<std::chrono::seconds> asked_to_wait_;
  std::map<std::string, Clock::time_point> forbidden_;  ///< until when, by namespace
  bool forbidden_said_ = false;
  bool refused_said_ = false;
  bool in_trouble_ = false;
  std::mt19937 random_{std::random_device{}()};

  mutable std::mutex mutex_;  ///< for the rest
  std::condition_variable wake_;
  std::deque<Waiting> waiting_;  ///< oldest first
  KubernetesEventCounts counts_;
  bool stopping_ = false;
  std::thread thread_;
};

std::optional<EventWriter::Worker::Waiting> EventWriter::Worker::next() {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  if (stopping_) {
    return std::nullopt;
  }
  Waiting waiting = std::move(waiting_.front());
  waiting_.pop_front();
  return waiting;
}

void EventWriter::Worker::run() {
  while (auto waiting = next()) {
    const Told told = tell(waiting->event);
    if (told == Told::kFailed || told == Told::kUnanswered) {
      put_back(*std::move(waiting), told);
      wait_before_retry();
    } else {
      count(told);
    }
  }
}

void EventWriter::Worker::failed(const std::string& why) {
  {
    const std::scoped_lock lock(mutex_);
    if (stopping_) {
      return;
    }
  }
  if (!std::exchange(in_trouble_, true)) {
    on_trouble_(why);
  }
}

void EventWriter::Worker::count(Told told) {
  bool over = false;
  {
    const std::scoped_lock lock(mutex_);
    (told == Told::kWritten ? counts_.written : counts_.refused)++;
    if (told == Told::kNotAsked) {
      return;
    }
    // One that still fails would be said anew each time that another is taken.
    over = in_trouble_ && std::ranges::none_of(waiting_, [](const Waiting& each) { return each.failures > 0; });
  }
  backoff_.reset();
  if (over) {
    in_trouble_ = false;
    on_trouble_("");
  }
}

void EventWriter::Worker::put_back(Waiting waiting, Told told) {
  const std::scoped_lock lock(mutex_);
  if (find(waiting.event.name) != waiting_.end()) {
    return;  // a newer one has come meanwhile, and says all that this one did
  }
  if (told == Told::kUnanswered) {
    waiting_.push_front(std::move(waiting));
    drop_oldest();
  } else if (++waiting.failures < kMostFailures) {
    waiting_.push_back(std::move(waiting));
    drop_oldest();
  } else {
    counts_.lost++;
  }
}

void EventWriter::Worker::wait_before_retry() {
  std::chrono::milliseconds wait = backoff_.failed(random_);
  if (const auto asked = std::exchange(asked_to_wait_, std::nullopt)) {
    wait = std::clamp<std::chrono::milliseconds>(*asked, wait, std::max(wait, options_.longest_backoff));
  }
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, wait, [this] { return stopping_; });
}

bool EventWriter::Worker::is_forbidden(const std::string& namespace_name) const {
  const auto found = forbidden_.find(namespace_name);
  return found != forbidden_.end() && Clock::now() < found->second;
}

void EventWriter::Worker::forbid(const std::string& namespace_name) {
  if (forbidden_.size() >= kMostForbidden) {
    forbidden_.erase(std::ranges::min_element(forbidden_, {}, [](const auto& entry) { return entry.second; }));
  }
  forbidden_[namespace_name] = Clock::now() + kForbiddenPause;
}

EventWriter::Worker::Told EventWriter::Worker::tell(const KubernetesEvent& event) {
  // By namespace: neither a role that is bound in some only nor a tenant's quota says anything of the others.
  if (is_forbidden(event.object.namespace_name)) {
    return Told::kNotAsked;
  }
  const auto response = ask(event);
  if (response) {
    return judge(event, *response);
  }
  failed(response.error().message);
  return Told::kUnanswered;
}

Result<ApiClient::Response> EventWriter::Worker::ask(const KubernetesEvent& event) {
  const std::string path = "/api/v1/namespaces/" + event.object.namespace_name + "/events";
  const auto create = [&]() -> Result<ApiClient::Response> {
    std::string uid = event.object.uid;
    if (uid.empty()) {
      const auto object = client_->get(path_of(event.object));
      if (!object) {
        return object;
      }
      // Whoever may not read it does without.
      uid = object->status == kOk ? text_at(object_of(*object), "/metadata/uid") : "";
    }
    return client_->send(
        path,
        {.method = "POST", .content_type = "application/json", .body = text_of(created(event, uid, options_.node))});
  };
  const auto change = [&] {
    return client_->send(
        path + "/" + event.name,
        {.method = "PATCH", .content_type = "application/merge-patch+json", .body = text_of(changed(event))});
  };
  if (event.told_before) {
    auto response = change();
    // It has expired: the server keeps Events for an hour, as a rule.
    return response && response->status == kNotFound ? create() : response;
  }
  auto response = create();
  // An earlier try was taken, and its answer never came.
  return response && response->status == kConflict ? change() : response;
}

EventWriter::Worker::Told EventWriter::Worker::judge(const KubernetesEvent& event,
                                                     const ApiClient::Response& response) {
  const int status = response.status;
  if (status == kOk || status == kCreated) {
    return Told::kWritten;
  }
  if (status == kUnauthorized || status == kTimeout || status == kTooMany || status >= kServerError) {
    asked_to_wait_ = response.retry_after;
    failed(refusal_of(event, response));
    return Told::kFailed;
  }
  // A namespace that goes, or has gone, takes its objects along.
  const bool gone =
      status == kNotFound || text_at(object_of(response), "/details/causes/0/reason") == "NamespaceTerminating";
  if (status == kForbidden && !gone) {
    forbid(event.object.namespace_name);
    if (!std::exchange(forbidden_said_, true)) {
      on_trouble_(refusal_of(event, response) +
                  "; the ClusterRole must allow create and patch on events, see deploy/daemonset.yaml, or leave out "
                  "--kubernetes-events. Not asked again in that namespace for an hour, and not said again");
    }
  } else if (!gone && !std::exchange(refused_said_, true)) {
    on_trouble_(refusal_of(event, response) + "; left out, as will be others of which the server says such");
  }
  return Told::kRefused;
}

EventWriter::EventWriter(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}

EventWriter::~EventWriter() = default;

Result<std::unique_ptr<EventWriter>> EventWriter::start(const ClusterAccess& access, Options options,
                                                        OnTrouble on_trouble) {
  auto client = ApiClient::create(access);
  if (!client) {
    return std::unexpected(client.error());
  }
  return std::unique_ptr<EventWriter>(
      new EventWriter(std::make_unique<Worker>(*std::move(client), std::move(options), std::move(on_trouble))));
}

void EventWriter::put(KubernetesEvent event) {
  worker_->put(std::move(event));
}

KubernetesEventCounts EventWriter::counts() const {
  return worker_->counts();
}

}  // namespace hairpind
