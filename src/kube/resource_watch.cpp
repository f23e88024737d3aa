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

// RFC 3986, 2.3.
std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      encoded += c;
    } else {
      encoded += {'%', kDigits[byte >> 4U], kDigits[byte & 0xfU]};
    }
  }
  return encoded;
}

std::string text_at(const Json& object, const char* pointer) {
  const Json::json_pointer at(pointer);
  return object.is_object() && object.contains(at) && object[at].is_string() ? object[at].get<std::string>() : "";
}

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

std::string ResourceWatch::list_path(const std::string& continuation) const {
  std::string path = options_.path + "?limit=" + std::to_string(options_.page_size);
  if (!options_.field_selector.empty()) {
    path += "&fieldSelector=" + percent_encoded(options_.field_selector);
  }
  if (!continuation.empty()) {
    path += "&continue=" + percent_encoded(continuation);
  }
  return path;
}

std::string ResourceWatch::watch_path() const {
  // Shorter than any proxy's patience; the server ends the watch, and it goes on from where it was.
  std::string path = options_.path + "?watch=1&allowWatchBookmarks=true&timeoutSeconds=290&resourceVersion=" +
                     percent_encoded(resource_version_);
  if (!options_.field_selector.empty()) {
    path += "&fieldSelector=" + percent_encoded(options_.field_selector);
  }
  return path;
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
    handlers_.state(true, "");
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

void ResourceWatch::failed(const std::string& why, const ApiClient::Response* response) {
  std::string text = options_.path + ": " + why;
  if (response != nullptr) {
    asked_to_wait_ = response->retry_after;
    const std::string message = text_at(Json::parse(response->body, nullptr, false), "/message");
    text += " (HTTP " + std::to_string(response->status) + (message.empty() ? "" : ": " + message) + ")";
    if (response->status == 403) {
      text += "; the ClusterRole must allow it, see deploy/daemonset.yaml";
    }
  }
  handlers_.state(false, text);
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
  std::string continuation;
  bool first = true;
  do {
    auto response = client_->get(list_path(continuation));
    if (!response) {
      failed(response.error().message);
      return false;
    }
    if (response->status != 200) {
      // 410: the list grew too old between two pages; it begins anew.
      failed("cannot list", &*response);
      return false;
    }
    const Json page = Json::parse(response->body, nullptr, false);
    response->body.clear();
    const std::string version = text_at(page, "/metadata/resourceVersion");
    if (page.is_discarded() || !page.contains("items") || version.empty()) {
      failed("the answer is no list");
      return false;
    }
    continuation = text_at(page, "/metadata/continue");
    const Json& items = page["items"];
    static const std::vector<Json> kNone;
    // An empty list may be null.
    handlers_.listed(items.is_array() ? items.get_ref<const Json::array_t&>() : kNone, first, continuation.empty());
    resource_version_ = version;
    first = false;
  } while (!continuation.empty());
  return true;
}

ResourceWatch::Ended ResourceWatch::watch() {
  std::string pending;
  std::optional<Ended> ended;
  const auto response = client_->stream(watch_path(), options_.silence, [&](std::string_view piece) {
    pending += piece;
    std::size_t start = 0;
    for (std::size_t end = pending.find('\n'); end != std::string::npos && !ended; end = pending.find('\n', start)) {
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
    failed("cannot watch", &*response);
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
  handlers_.state(true, "");
  return std::nullopt;
}

}  // namespace hairpind
