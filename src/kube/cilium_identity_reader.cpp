// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cilium_identity_reader.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "hairpind/kube/api_client.hpp"
#include "hairpind/kube/objects.hpp"
#include "json_reading.hpp"
#include "question_thread.hpp"

namespace hairpind {
namespace {

constexpr const char* kPath = "/apis/cilium.io/v2/ciliumidentities/";
// A true one has two kilobytes, managedFields and all.
constexpr std::size_t kLongestObject = 64U << 10U;
constexpr std::chrono::seconds kSilence{5};

}  // namespace

class CiliumIdentityReader::Worker {
 public:
  using Thread = QuestionThread<std::uint32_t, std::uint32_t, std::vector<std::string>>;

  explicit Worker(std::unique_ptr<ApiClient> client)
      : client_(std::move(client)),
        thread_(*client_, {.waiting = kMostWaiting, .pause = kPause},
                [this](std::uint32_t identity) { return read(identity); }) {}

  void ask(std::uint32_t identity) { thread_.put(identity); }
  Thread::Answers take() { return thread_.take(); }

 private:
  std::optional<Thread::Answers> read(std::uint32_t identity);

  const std::unique_ptr<ApiClient> client_;
  Thread thread_;
};

std::optional<CiliumIdentityReader::Worker::Thread::Answers> CiliumIdentityReader::Worker::read(
    std::uint32_t identity) {
  std::string text;
  const auto response = client_->stream(
      kPath + std::to_string(identity), kSilence, [] {},
      [&text](std::string_view piece) {
        text += piece.substr(0, kLongestObject + 1 - text.size());
        return text.size() <= kLongestObject;
      });
  // 404: this one is gone, or there is no Cilium in the API at all.
  if (!response || (response->status != 200 && response->status != 404)) {
    return std::nullopt;
  }
  const auto object = parse_object(text);
  std::vector<std::string> labels = parse_cilium_identity(object.value_or(nlohmann::json()));
  Thread::Answers answers;
  if (!labels.empty()) {
    answers.emplace(identity, std::move(labels));
  }
  return answers;
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
