// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/resource_watch.hpp"

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string_view>
#include <thread>
#include <utility>

#include "backoff.hpp"
#include "json_reading.hpp"
#include "list_reader.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

// Of a watch that lasts no longer something is amiss from the start; one that ends so much early ends at its time.
constexpr std::chrono::seconds kMoment{1};
// One line of a watch is one object and a few words around it.
constexpr std::size_t kLongestLine = ListReader::kLongestObject + 1024;

}  // namespace

class ResourceWatch::Worker {
 public:
  Worker(Options options, std::unique_ptr<ApiClient> client, Handlers handlers)
      : options_(std::move(options)),
        client_(std::move(client)),
        handlers_(std::move(handlers)),
        collection_(options_.collection),
        backoff_({.first = options_.first_backoff, .spread = options_.spread, .longest = options_.longest_backoff}),
        thread_([this] { run(); }) {}

  ~Worker() {
    stop();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void stop() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    stop_requested_.notify_all();
    client_->stop();
  }

 private:
  /// kClosed: by the server, when it was asked to. kBroken: before. kListAnew: something was missed, or the version is
  /// too old; only a new list tells what there is. kFailed: it never began.
  enum class Ended : std::uint8_t { kClosed, kBroken, kListAnew, kFailed };

  void run();
  bool list();
  /// A list was refused because there is no such kind, or no right to it; and that is no trouble.
  bool is_absent(const ApiRefusal& refusal);
  [[nodiscard]] bool is_absence(int status) const {
    return options_.absent_pause > std::chrono::milliseconds(0) && (status == 404 || status == 403);
  }
  Ended watch();
  /// A piece of a watch: some lines, and the beginning of another.
  std::optional<Ended> take_piece(std::string_view piece);
  std::optional<Ended> handle_line(std::string_view line);
  void failed(const ApiRefusal& refusal);
  void failed(const std::string& why);
  void wait_before_retry() { wait(absent_ ? options_.absent_pause : backoff_.failed(random_)); }
  void wait_after(Ended ended, std::chrono::steady_clock::duration lasted);
  void wait(std::chrono::milliseconds time);
  bool stopping() {
    const std::scoped_lock lock(mutex_);
    return stopping_;
  }

  const Options options_;
  const std::unique_ptr<ApiClient> client_;
  const Handlers handlers_;

  // The thread's own.
  Collection collection_;  ///< without the selector, where the server refused it
  std::string list_from_ = "0";
  std::string resource_version_;
  std::string line_;            ///< of the watch, as far as it has come; of one that is being passed over, nothing
  std::size_t line_bytes_ = 0;  ///< all of it
  Backoff backoff_;
  std::optional<std::chrono::seconds> asked_to_wait_;
  bool absent_ = false;  ///< the kind, at the last list
  std::mt19937 random_{std::random_device{}()};

  std::mutex mutex_;
  std::condition_variable stop_requested_;
  bool stopping_ = false;
  std::thread thread_;
};

ResourceWatch::ResourceWatch(Options options, std::unique_ptr<ApiClient> client, Handlers handlers)
    : worker_(std::make_unique<Worker>(std::move(options), std::move(client), std::move(handlers))) {}

ResourceWatch::~ResourceWatch() = default;

void ResourceWatch::stop() {
  worker_->stop();
}

void ResourceWatch::Worker::run() {
  while (!stopping()) {
    if (!list()) {
      wait_before_retry();
      continue;
    }
    Ended ended = Ended::kClosed;
    while (ended != Ended::kListAnew && !stopping()) {
      const auto begun = std::chrono::steady_clock::now();
      ended = watch();
      wait_after(ended, std::chrono::steady_clock::now() - begun);
    }
  }
}

void ResourceWatch::Worker::failed(const ApiRefusal& refusal) {
  asked_to_wait_ = refusal.retry_after;
  handlers_.state(false, refusal.why);
}

void ResourceWatch::Worker::failed(const std::string& why) {
  failed({.why = collection_.path + ": " + why, .status = 0, .retry_after = std::nullopt});
}

void ResourceWatch::Worker::wait_after(Ended ended, std::chrono::steady_clock::duration lasted) {
  if (ended == Ended::kFailed || (ended == Ended::kListAnew && lasted < kMoment)) {
    wait_before_retry();
  } else if (ended != Ended::kClosed) {
    // A server that goes cuts off all agents at the same moment.
    wait(backoff_.ended(random_));
  }
}

void ResourceWatch::Worker::wait(std::chrono::milliseconds time) {
  if (const auto asked = std::exchange(asked_to_wait_, std::nullopt)) {
    time = std::clamp<std::chrono::milliseconds>(*asked, time, std::max(time, options_.longest_backoff));
  }
  std::unique_lock lock(mutex_);
  stop_requested_.wait_for(lock, time, [this] { return stopping_; });
}

bool ResourceWatch::Worker::list() {
  handlers_.list_begun();
  const ListOptions how{.page_size = options_.page_size, .resource_version = list_from_};
  collection_ = options_.collection;
  auto version = list_collection(*client_, collection_, how, handlers_.upserted);
  if (!version && version.error().status == 400 && options_.selector_may_be_refused) {
    collection_.field_selector.clear();
    handlers_.list_begun();
    version = list_collection(*client_, collection_, how, handlers_.upserted);
  }
  absent_ = !version && is_absent(version.error());
  if (absent_) {
    return false;
  }
  if (!version) {
    // The version may be gone, or unheard of at this server: then the newest state, whatever it costs.
    if (version.error().status == 410 || version.error().status == 504) {
      list_from_.clear();
    }
    failed(version.error());
    return false;
  }
  handlers_.list_ended();
  resource_version_ = *std::move(version);
  // Never again something older than what has been told.
  list_from_ = resource_version_;
  return true;
}

bool ResourceWatch::Worker::is_absent(const ApiRefusal& refusal) {
  if (!is_absence(refusal.status)) {
    return false;
  }
  // What was told of before is gone with its kind.
  handlers_.list_ended();
  handlers_.state(true, refusal.status == 404 ? "" : refusal.why);
  list_from_ = "0";
  return true;
}

ResourceWatch::Worker::Ended ResourceWatch::Worker::watch() {
  line_.clear();
  line_bytes_ = 0;
  std::optional<Ended> ended;
  bool begun = false;
  // Not all agents' after the same time: what began together would end together, again and again.
  const std::chrono::seconds length(std::uniform_int_distribution<std::chrono::seconds::rep>(
      options_.longest_watch.count() * 2 / 3, options_.longest_watch.count())(random_));
  const auto end = std::chrono::steady_clock::now() + length - kMoment;
  const auto response = client_->stream(
      watch_path(collection_, resource_version_, length), options_.silence,
      [&] {
        begun = true;
        handlers_.state(true, "");
      },
      [&](std::string_view piece) {
        ended = take_piece(piece);
        return !ended;
      });
  if (ended) {
    return *ended;
  }
  if (!response) {
    failed(response.error().message);
    return begun ? Ended::kBroken : Ended::kFailed;
  }
  if (response->status == 410) {
    list_from_.clear();
    return Ended::kListAnew;
  }
  // Taken out while it was watched.
  if (response->status == 404 && is_absence(response->status)) {
    return Ended::kListAnew;
  }
  if (response->status != 200) {
    failed(refusal(collection_, "watch", *response));
    return Ended::kFailed;
  }
  return std::chrono::steady_clock::now() < end ? Ended::kBroken : Ended::kClosed;
}

std::optional<ResourceWatch::Worker::Ended> ResourceWatch::Worker::take_piece(std::string_view piece) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::string_view part = piece.substr(0, end);
    piece.remove_prefix(std::min(part.size() + 1, piece.size()));
    line_bytes_ += part.size();
    if (line_bytes_ <= kLongestLine) {
      line_ += part;
    } else {
      line_ = std::string();
    }
    if (line_bytes_ > ListReader::kLongestPassedOver) {
      failed("an object larger than " + std::to_string(ListReader::kLongestPassedOver >> 20U) + " MiB");
      return Ended::kListAnew;
    }
    if (end == std::string_view::npos) {
      break;
    }
    const bool kept = std::exchange(line_bytes_, 0) <= kLongestLine;
    const std::string line = std::exchange(line_, {});
    if (!kept) {
      handlers_.upserted(Json());
    } else if (const auto ended = handle_line(line)) {
      return ended;
    }
  }
  return std::nullopt;
}

std::optional<ResourceWatch::Worker::Ended> ResourceWatch::Worker::handle_line(std::string_view line) {
  if (line.empty()) {
    return std::nullopt;
  }
  const auto parsed = parse_object(line);
  if (!parsed && parsed.error() == ParseFault::kTooLarge) {
    handlers_.upserted(Json());
    return std::nullopt;
  }
  const Json event = parsed.value_or(Json());
  const std::string type = text_at(event, "/type");
  const auto object = event.is_object() ? event.find("object") : event.end();
  if (type.empty() || object == event.end()) {
    failed("the watch sent what is no event");
    return Ended::kListAnew;
  }
  if (type == "ERROR") {
    // Most of all 410 Gone: the version is too old to go on from.
    list_from_.clear();
    return Ended::kListAnew;
  }
  if (const std::string version = text_at(*object, "/metadata/resourceVersion"); !version.empty()) {
    resource_version_ = version;
    list_from_ = version;
  }
  if (type == "ADDED" || type == "MODIFIED") {
    handlers_.upserted(*object);
  } else if (type == "DELETED") {
    handlers_.deleted(*object);
  }
  // A server that sends events is well again.
  backoff_.reset();
  return std::nullopt;
}

}  // namespace hairpind
