// SPDX-License-Identifier: Apache-2.0
#include "status_board.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace hairpind {
namespace {

using namespace std::chrono_literals;

constexpr SinceBoot kNow = 1000s;

Status running() {
  Status status;
  status.last_turn = kNow;
  status.attached = {.pods = 2, .uplinks = 1, .complete = true};
  status.watched.watched = 1;
  return status;
}

TEST(Health, EndsWhenTheLoopHasNotTurnedForTenSeconds) {
  const Status status = running();
  EXPECT_TRUE(is_healthy(status, kNow + 9s));
  EXPECT_FALSE(is_healthy(status, kNow + 10s));
  EXPECT_FALSE(is_ready(status, kNow + 10s));
  EXPECT_TRUE(is_healthy(Status{}, kNow)) << "an agent that starts is not ill";
}

TEST(Readiness, ComesWithTheFirstTurnAndTheLastDevice) {
  EXPECT_TRUE(is_ready(running(), kNow));
  EXPECT_FALSE(is_ready(Status{}, kNow));
  Status status = running();
  status.attached.complete = false;
  EXPECT_FALSE(is_ready(status, kNow));
}

TEST(Readiness, IsNotWhereNothingIsWatched) {
  Status status = running();
  status.watched.watched = 0;
  status.watched.unwatched = 3;
  EXPECT_FALSE(is_ready(status, kNow));
  status.watched.watched = 1;
  EXPECT_TRUE(is_ready(status, kNow)) << "most of it may still be watched";
  status.watched = {};
  EXPECT_TRUE(is_ready(status, kNow)) << "a cluster without load balancers";
  status.attached.nothing_watched = true;
  EXPECT_FALSE(is_ready(status, kNow));
}

// What a race would be: under ThreadSanitizer this is the test.
TEST(StatusBoard, IsReadWholeWhileItChanges) {
  StatusBoard board;
  std::vector<std::jthread> readers;
  readers.reserve(4);
  for (int i = 0; i < 4; i++) {
    readers.emplace_back([&board](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        const Status status = board.read();
        EXPECT_EQ(status.attached.pods, status.attached.uplinks);
        EXPECT_EQ(status.watched.listed.size(), status.watched.watched);
      }
    });
  }
  for (std::uint64_t i = 0; i < 2000; i++) {
    board.publish(AttachStatus{.pods = i, .uplinks = i});
    WatchStatus watched;
    watched.watched = i % 50;
    watched.listed.resize(i % 50);
    board.publish(std::move(watched));
    board.publish(std::make_shared<const NamedCounts>());
    board.publish_turn(SinceBoot(i));
  }
}

}  // namespace
}  // namespace hairpind
