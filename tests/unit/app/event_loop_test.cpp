// SPDX-License-Identifier: Apache-2.0
#include "event_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <string>
#include <thread>
#include <vector>

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class EventLoopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    EventLoop::block_signals();
    auto created = EventLoop::create();
    ASSERT_TRUE(created);
    loop = *std::move(created);
    // A loop that nobody stops must not hang the test.
    loop->after(20s, [this] {
      ADD_FAILURE() << "nobody stopped the loop";
      loop->stop();
    });
  }

  std::unique_ptr<EventLoop> loop;
};

TEST_F(EventLoopTest, PostedTasksRunInOrderAndInTheLoopsThread) {
  std::vector<int> seen;
  const auto here = std::this_thread::get_id();
  const std::jthread other([&] {
    for (int i = 0; i < 100; i++) {
      loop->post([&, i] {
        EXPECT_EQ(std::this_thread::get_id(), here);
        seen.push_back(i);
        if (i == 99) {
          loop->stop();
        }
      });
    }
  });
  EXPECT_TRUE(loop->run());
  ASSERT_EQ(seen.size(), 100);
  EXPECT_TRUE(std::ranges::is_sorted(seen));
}

TEST_F(EventLoopTest, TimersRunInTheOrderOfTheirTimeAndNotBefore) {
  std::vector<std::string> seen;
  const SinceBoot start = EventLoop::now();
  loop->after(30ms, [&] {
    EXPECT_GE(EventLoop::now() - start, 30ms);
    seen.emplace_back("late");
    loop->stop();
  });
  loop->after(10ms, [&] {
    EXPECT_GE(EventLoop::now() - start, 10ms);
    seen.emplace_back("early");
  });
  loop->at(start - 1s, [&] { seen.emplace_back("overdue"); });
  EXPECT_TRUE(loop->run());
  EXPECT_THAT(seen, ElementsAre("overdue", "early", "late"));
}

TEST_F(EventLoopTest, WhatIsLateDoesNotComeTwice) {
  constexpr auto kInterval = 10ms;
  int rounds = 0;
  SinceBoot late{};
  loop->every(kInterval, [&] {
    if (++rounds == 1) {
      std::this_thread::sleep_for(20 * kInterval);
      late = EventLoop::now();
    }
    if (rounds == 10) {
      loop->stop();
    }
  });
  EXPECT_TRUE(loop->run());
  // The second at once, and eight more.
  EXPECT_GE(EventLoop::now() - late, 8 * kInterval);
}

TEST_F(EventLoopTest, ADescriptorIsReportedUntilItIsRead) {
  std::array<int, 2> pipe_ends{};
  ASSERT_EQ(pipe(pipe_ends.data()), 0);
  const FileDescriptor reader(pipe_ends[0]);
  const FileDescriptor writer(pipe_ends[1]);
  ASSERT_EQ(write(writer.get(), "abc", 3), 3);
  std::string seen;
  ASSERT_TRUE(loop->on_readable(reader.get(), [&] {
    char one = 0;
    ASSERT_EQ(read(reader.get(), &one, 1), 1);
    seen += one;
    if (seen.size() == 3) {
      loop->stop();
    }
  }));
  EXPECT_TRUE(loop->run());
  EXPECT_EQ(seen, "abc");
}

// What is posted again and again must not keep descriptors and timers waiting.
TEST_F(EventLoopTest, ATaskThatPostsItselfLeavesRoomForOthers) {
  std::function<void()> again = [&] { loop->post(again); };
  again();
  loop->after(10ms, [&] { loop->stop(); });
  EXPECT_TRUE(loop->run());
}

// The agent detaches at once, whatever else is to be done.
TEST_F(EventLoopTest, ASignalComesBetweenTwoTasks) {
  std::vector<std::string> seen;
  loop->on_signal([&](int signal) {
    seen.emplace_back(signal == SIGHUP ? "SIGHUP" : "SIGTERM");
    if (signal == SIGTERM) {
      loop->stop();
    }
  });
  loop->post([&] {
    seen.emplace_back("first");
    kill(getpid(), SIGHUP);
  });
  loop->post([&] {
    seen.emplace_back("second");
    kill(getpid(), SIGTERM);
  });
  loop->post([&] { seen.emplace_back("never"); });
  EXPECT_TRUE(loop->run());
  EXPECT_THAT(seen, ElementsAre("first", "SIGHUP", "second", "SIGTERM"));
}

TEST_F(EventLoopTest, ASignalFromBeforeTheLoopIsTheFirstThingItSees) {
  kill(getpid(), SIGTERM);
  bool task_ran = false;
  loop->post([&] { task_ran = true; });
  loop->on_signal([&](int) { loop->stop(); });
  EXPECT_TRUE(loop->run());
  EXPECT_FALSE(task_ran);
}

}  // namespace
}  // namespace hairpind
