// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/resource_watch.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace hairpind {
namespace {

using Json = nlohmann::json;

// One line of a watch is one object. The API server refuses objects beyond etcd's limit of 1.5 MiB by default; one
// that is much larger is no object, and memory is not for the server to fill.
constexpr std::size_t kLongestLine = 16U << 20U;

}  // namespace

ResourceWatch::ResourceWatch(Options options, std::unique_ptr<ApiClient> client, Handlers handlers)
    : options_(std::move(options)),
      client_(std::move(client)),
      handlers_(std::move(handlers)),
      backoff_(options_.first_backoff),
      thread_([this] { run(); }) {}

ResourceWatch::~ResourceWatch() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  stop_requested_.notify_all();
  client_->stop();
  thread_.join();
}

void ResourceWatch::run() {
  const auto stopping = [this] {
    const std::scoped_lock lock(mutex_);
    return stopping_;
  };
  while (!stopping()) {
    if (!list()) {
      wait_before_retry();
      continue;
    }
    Ended ended = Ended::kClosed;
    while (ended != Ended::kExpired && !stopping()) {
      const auto begun = std::chrono::steady_clock::now();
      ended = watch();
      // A server that closes each watch at once must not be asked in a loop.
      if (ended == Ended::kFailed || std::chrono::steady_clock::now() - begun < options_.first_backoff) {
        wait_before_retry();
      }
    }
  }
}

void ResourceWatch::failed(const ApiRefusal& refusal) {
  asked_to_wait_ = refusal.retry_after;
  handlers_.state(false, refusal.why);
}

void ResourceWatch::failed(const std::string& why) {
  failed({.why = options_.collection.path + ": " + why, .retry_after = std::nullopt});
}

void ResourceWatch::wait_before_retry() {
  // Full jitter over the upper half, so that the agents of a cluster do not come back all at once.
  std::uniform_int_distribution<std::int64_t> jitter(backoff_.count() / 2, backoff_.count());
  std::chrono::milliseconds wait(jitter(random_));
  if (asked_to_wait_) {
    wait = std::clamp<std::chrono::milliseconds>(*asked_to_wait_, wait, options_.longest_backoff);
  }
  asked_to_wait_.reset();
  backoff_ = std::min(backoff_ * 2, options_.longest_backoff);
  std::unique_lock lock(mutex_);
  stop_requested_.wait_for(lock, wait, [this] { return stopping_; });
}

bool ResourceWatch::list() {
  auto version = list_collection(*client_, options_.collection, options_.page_size, handlers_.listed);
  if (!version) {
    failed(version.error());
    return false;
  }
  resource_version_ = *std::move(version);
  return true;
}

ResourceWatch::Ended ResourceWatch::watch() {
  std::string pending;
  std::optional<Ended> ended;
  const auto response = client_->stream(
      watch_path(options_.collection, resource_version_), options_.silence, [this] { handlers_.state(true, ""); },
      [&](std::string_view piece) {
        pending += piece;
        std::size_t start = 0;
        for (std::size_t end = pending.find('\n'); end != std::string::npos && !ended;
             end = pending.find('\n', start)) {
          ended = handle_line(std::string_view(pending).substr(start, end - start));
          start = end + 1;
        }
        pending.erase(0, start);
        if (pending.size() > kLongestLine) {
          failed("an object larger than " + std::to_string(kLongestLine >> 20U) + " MiB");
          ended = Ended::kExpired;
        }
        return !ended;
      });
  if (ended) {
    return *ended;
  }
  if (!response) {
    failed(response.error().message);
    return Ended::kFailed;
  }
  if (response->status == 410) {
    return Ended::kExpired;
  }
  if (response->status != 200) {
    failed(refusal(options_.collection, "watch", *response));
    return Ended::kFailed;
  }
  return Ended::kClosed;
}

std::optional<ResourceWatch::Ended> ResourceWatch::handle_line(std::string_view line) {
  if (line.empty()) {
    return std::nullopt;
  }
  const Json event = Json::parse(line, nullptr, false);
  const std::string type = text_at(event, "/type");
  const auto object = event.is_object() ? event.find("object") : event.end();
  if (type.empty() || object == event.end()) {
    failed("the watch sent what is no event");
    // Something was missed: only a new list tells what.
    return Ended::kExpired;
  }
  if (type == "ERROR") {
    // Most of all 410 Gone: the version is too old to go on from.
    return Ended::kExpired;
  }
  if (const std::string version = text_at(*object, "/metadata/resourceVersion"); !version.empty()) {
    resource_version_ = version;
  }
  if (type == "ADDED" || type == "MODIFIED") {
    handlers_.upserted(*object);
  } else if (type == "DELETED") {
    handlers_.deleted(*object);
  }
  // A server that sends events is well again.
  backoff_ = options_.first_backoff;
  return std::nullopt;
}

}  // namespace hairpind
