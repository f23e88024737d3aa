// SPDX-License-Identifier: Apache-2.0
#include "event_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <limits>
#include <span>
#include <utility>

namespace hairpind {
namespace {

sigset_t handled_signals() {
  sigset_t handled;
  sigemptyset(&handled);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&handled, signal);
  }
  return handled;
}

}  // namespace

void EventLoop::block_signals() {
  const sigset_t handled = handled_signals();
  pthread_sigmask(SIG_BLOCK, &handled, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
}

SinceBoot EventLoop::now() {
  return std::chrono::duration_cast<SinceBoot>(std::chrono::steady_clock::now().time_since_epoch());
}

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  std::unique_ptr<EventLoop> loop(new EventLoop());
  const sigset_t handled = handled_signals();
  loop->epoll_ = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  loop->signals_ = FileDescriptor(signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC));
  loop->posted_fd_ = FileDescriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (loop->epoll_.get() < 0 || loop->signals_.get() < 0 || loop->posted_fd_.get() < 0) {
    return fail_errno("open the event loop's file descriptors", errno);
  }
  // Signals are looked for between tasks; here they only have to wake the loop.
  if (auto watched = loop->on_readable(loop->signals_.get(), [] {}); !watched) {
    return std::unexpected(watched.error());
  }
  if (auto watched = loop->on_readable(loop->posted_fd_.get(), [self = loop.get()] { self->run_posted(); }); !watched) {
    return std::unexpected(watched.error());
  }
  return loop;
}

Result<void> EventLoop::on_readable(int fd, Task task) {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return fail_errno("watch a file descriptor with epoll", errno);
  }
  readable_.insert_or_assign(fd, std::move(task));
  return {};
}

void EventLoop::every(std::chrono::nanoseconds interval, Task task) {
  repeat(now() + interval, interval, std::make_shared<const Task>(std::move(task)));
}

void EventLoop::repeat(SinceBoot when, std::chrono::nanoseconds interval, std::shared_ptr<const Task> task) {
  at(when, [this, when, interval, task = std::move(task)] {
    (*task)();
    repeat(std::max(when + interval, now()), interval, task);
  });
}

void EventLoop::at(SinceBoot when, Task task) {
  timers_.emplace(when, std::move(task));
}

void EventLoop::post(Task task) {
  {
    const std::scoped_lock lock(mutex_);
    posted_.push_back(std::move(task));
  }
  eventfd_write(posted_fd_.get(), 1);
}

Result<void> EventLoop::run() {
  while (!stopped_) {
    std::array<epoll_event, 16> ready{};
    const int count = epoll_wait(epoll_.get(), ready.data(), ready.size(), patience());
    if (count < 0 && errno != EINTR) {
      return fail_errno("wait for events", errno);
    }
    take_signals();
    for (const epoll_event& event : std::span(ready).first(static_cast<std::size_t>(std::max(count, 0)))) {
      run_task(readable_.at(event.data.fd));
    }
    run_due_timers();
  }
  return {};
}

void EventLoop::take_signals() {
  signalfd_siginfo info{};
  while (!stopped_ && read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    if (handler_) {
      handler_(static_cast<int>(info.ssi_signo));
    }
  }
}

void EventLoop::run_task(const Task& task) {
  if (!stopped_) {
    task();
    take_signals();
  }
}

void EventLoop::run_posted() {
  eventfd_t count = 0;
  eventfd_read(posted_fd_.get(), &count);
  std::vector<Task> tasks;
  {
    const std::scoped_lock lock(mutex_);
    tasks.swap(posted_);
  }
  // What these post comes in the next turn, after the descriptors.
  for (const Task& task : tasks) {
    run_task(task);
  }
}

void EventLoop::run_due_timers() {
  // Those due now: a timer that sets itself again for now must not keep the loop here.
  const SinceBoot until = now();
  std::multimap<SinceBoot, Task> due;
  while (!timers_.empty() && timers_.begin()->first <= until) {
    due.insert(due.end(), timers_.extract(timers_.begin()));
  }
  for (const auto& [when, task] : due) {
    run_task(task);
  }
}

int EventLoop::patience() const {
  if (timers_.empty()) {
    return -1;
  }
  // Rounded up: a timer that is not due yet must not turn the loop idly.
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first - now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(wait, 0, std::numeric_limits<int>::max()));
}

}  // namespace hairpind
