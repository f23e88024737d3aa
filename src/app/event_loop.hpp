// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "hairpind/core/error.hpp"
#include "hairpind/core/event.hpp"
#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {

/// One thread's loop: descriptors that become readable, timers, signals, and tasks that other threads post.
///
/// Owns: epoll, the signals' descriptor, timers, posted tasks; not the descriptors it watches. Called by: the thread
/// that runs it, but for post(), which any thread may call. Tasks run one after the other, in that thread. Between two
/// of them it looks for signals, so that one waits for no more than the task that is running. Never runs a task inside
/// the call that hands it over.
class EventLoop {
 public:
  using Task = std::function<void()>;

  /// SIGTERM, SIGINT and SIGHUP, for the calling thread and those it starts: they wait for a loop, which alone takes
  /// them. First thing in a process: before that they end it.
  static void block_signals();
  static Result<std::unique_ptr<EventLoop>> create();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  /// Each time `fd` is readable, until the loop is gone. Level-triggered: what a task leaves is reported again.
  Result<void> on_readable(int fd, Task task);
  void on_signal(std::function<void(int signal)> handler) { handler_ = std::move(handler); }
  /// First after one interval. One that is late does not come twice.
  void every(std::chrono::nanoseconds interval, Task task);
  void at(SinceBoot when, Task task);
  void after(std::chrono::nanoseconds delay, Task task) { at(now() + delay, std::move(task)); }
  /// Soon, in the order they came. From any thread.
  void post(Task task);

  /// Until stop(). An error is one of epoll's own.
  Result<void> run();
  /// run() returns when the task that calls this has.
  void stop() { stopped_ = true; }

  /// CLOCK_MONOTONIC, as the kernel side stamps its events.
  static SinceBoot now();

 private:
  EventLoop() = default;
  void repeat(SinceBoot when, std::chrono::nanoseconds interval, std::shared_ptr<const Task> task);
  void take_signals();
  void run_task(const Task& task);
  void run_posted();
  void run_due_timers();
  [[nodiscard]] int patience() const;

  FileDescriptor epoll_;
  FileDescriptor signals_;
  FileDescriptor posted_fd_;
  std::map<int, Task> readable_;
  std::multimap<SinceBoot, Task> timers_;
  std::function<void(int)> handler_;
  bool stopped_ = false;

  mutable std::mutex mutex_;
  std::vector<Task> posted_;
};

}  // namespace hairpind
