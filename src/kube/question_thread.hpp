// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "hairpind/kube/api_client.hpp"

namespace hairpind {

/// Puts questions to an API server, one after the other, and keeps what has been found out until it is fetched.
///
/// Owns: a thread, in which the server is asked. Called by: any thread. Nobody but that thread waits for the server.
template <typename Question, typename Key, typename Answer>
class QuestionThread {
 public:
  using Clock = std::chrono::steady_clock;
  using Answers = std::map<Key, Answer>;

  struct Limits {
    std::size_t waiting = 0;  ///< more never wait for their turn, or to be fetched
    Clock::duration pause{};  ///< after a server that could not be asked
  };
  /// What the question comes to, which may be nothing; nullopt: the server could not be asked.
  using Ask = std::function<std::optional<Answers>(const Question&)>;

  /// `ask` uses `client`, which outlives this.
  QuestionThread(ApiClient& client, Limits limits, Ask ask)
      : client_(client), limits_(limits), ask_(std::move(ask)), thread_([this] { run(); }) {}
  /// Waits for the thread, which may be at its server.
  ~QuestionThread() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    asked_.notify_all();
    client_.stop();
    thread_.join();
  }
  QuestionThread(const QuestionThread&) = delete;
  QuestionThread& operator=(const QuestionThread&) = delete;

  /// Would a question be put now?
  [[nodiscard]] bool has_room() const {
    const std::scoped_lock lock(mutex_);
    return takes_more();
  }
  /// One that finds no room is forgotten.
  void put(Question question) {
    {
      const std::scoped_lock lock(mutex_);
      if (!takes_more()) {
        return;
      }
      waiting_.push_back(std::move(question));
    }
    asked_.notify_all();
  }
  /// Those since the last call.
  Answers take() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(answers_, {});
  }

 private:
  [[nodiscard]] bool takes_more() const { return waiting_.size() < limits_.waiting && Clock::now() >= paused_until_; }

  /// Nothing at the end.
  std::optional<Question> next() {
    std::unique_lock lock(mutex_);
    asked_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) {
      return std::nullopt;
    }
    Question question = std::move(waiting_.front());
    waiting_.pop_front();
    return question;
  }

  void run() {
    while (const auto question = next()) {
      auto found = ask_(*question);
      const std::scoped_lock lock(mutex_);
      if (!found) {
        paused_until_ = Clock::now() + limits_.pause;
        waiting_.clear();
        continue;
      }
      // Whoever asks takes them before long: there are more only of a loop that stands still.
      if (!found->empty() && answers_.size() >= limits_.waiting) {
        answers_.clear();
      }
      for (auto& [key, answer] : *found) {
        answers_.insert_or_assign(key, std::move(answer));
      }
    }
  }

  ApiClient& client_;
  const Limits limits_;
  const Ask ask_;

  mutable std::mutex mutex_;  ///< for the rest
  std::condition_variable asked_;
  std::deque<Question> waiting_;
  Answers answers_;
  Clock::time_point paused_until_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hairpind
