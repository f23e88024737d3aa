// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cilium_identity_reader.hpp"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include "hairpind/kube/api_client.hpp"
#include "hairpind/kube/objects.hpp"
#include "json_reading.hpp"

namespace hairpind {
namespace {

constexpr const char* kPath = "/apis/cilium.io/v2/ciliumidentities/";
// A true one has two kilobytes, managedFields and all.
constexpr std::size_t kLongestObject = 64U << 10U;
constexpr std::chrono::seconds kSilence{5};

}  // namespace

class CiliumIdentityReader::Worker {
 public:
  explicit Worker(std::unique_ptr<ApiClient> client) : client_(std::move(client)), thread_([this] { run(); }) {}
  ~Worker() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    asked_.notify_all();
    client_->stop();
    thread_.join();
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void ask(std::uint32_t identity) {
    {
      const std::scoped_lock lock(mutex_);
      if (waiting_.size() >= kMostWaiting || std::chrono::steady_clock::now() < paused_until_) {
        return;
      }
      waiting_.push_back(identity);
    }
    asked_.notify_all();
  }

  std::map<std::uint32_t, std::vector<std::string>> take() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(answers_, {});
  }

 private:
  void run();
  /// Nothing at the end.
  std::optional<std::uint32_t> next();

  const std::unique_ptr<ApiClient> client_;

  std::mutex mutex_;  ///< for the rest
  std::condition_variable asked_;
  std::deque<std::uint32_t> waiting_;
  std::map<std::uint32_t, std::vector<std::string>> answers_;
  std::chrono::steady_clock::time_point paused_until_;
  bool stopping_ = false;
  std::thread thread_;
};

std::optional<std::uint32_t> CiliumIdentityReader::Worker::next() {
  std::unique_lock lock(mutex_);
  asked_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  if (stopping_) {
    return std::nullopt;
  }
  const std::uint32_t identity = waiting_.front();
  waiting_.pop_front();
  return identity;
}

void CiliumIdentityReader::Worker::run() {
  while (const auto identity = next()) {
    std::string text;
    const auto response = client_->stream(
        kPath + std::to_string(*identity), kSilence, [] {},
        [&text](std::string_view piece) {
          text += piece.substr(0, kLongestObject + 1 - text.size());
          return text.size() <= kLongestObject;
        });
    // 404: this one is gone, or there is no Cilium in the API at all.
    if (!response || (response->status != 200 && response->status != 404)) {
      const std::scoped_lock lock(mutex_);
      paused_until_ = std::chrono::steady_clock::now() + kPause;
      waiting_.clear();
      continue;
    }
    const auto object = parse_object(text);
    std::vector<std::string> labels = parse_cilium_identity(object.value_or(nlohmann::json()));
    if (labels.empty()) {
      continue;
    }
    const std::scoped_lock lock(mutex_);
    // Whoever asks takes them before long: there are more only of a loop that stands still.
    if (answers_.size() >= kMostWaiting) {
      answers_.clear();
    }
    answers_[*identity] = std::move(labels);
  }
}

CiliumIdentityReader::CiliumIdentityReader(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}

CiliumIdentityReader::~CiliumIdentityReader() = default;

Result<std::unique_ptr<CiliumIdentityReader>> CiliumIdentityReader::start(const ClusterAccess& access) {
  auto client = ApiClient::create(access);
  if (!client) {
    return std::unexpected(client.error());
  }
  return std::unique_ptr<CiliumIdentityReader>(new CiliumIdentityReader(std::make_unique<Worker>(*std::move(client))));
}

void CiliumIdentityReader::ask(std::uint32_t identity) {
  worker_->ask(identity);
}

std::map<std::uint32_t, std::vector<std::string>> CiliumIdentityReader::take() {
  return worker_->take();
}

}  // namespace hairpind
