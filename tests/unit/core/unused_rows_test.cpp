// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/unused_rows.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attempts.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using testing::endpoint;
using ::testing::IsEmpty;
using Row = UnusedRows::Row;

constexpr SinceBoot kStart = 100h;

Row row(std::uint32_t index, std::uint64_t activity) {
  return {
      .index = index, .load_balancer = endpoint("10.0.5.5", static_cast<std::uint16_t>(index)), .activity = activity};
}

class UnusedRowsTest : public ::testing::Test {
 protected:
  UnusedRows::Turn look(const std::vector<Row>& all, SinceBoot now) {
    return rows.look(all, [this](const Endpoint&) { return use; }, now);
  }

  RowUse use = RowUse::kNone;
  UnusedRows rows{{.rest = 140s, .crowded = 2}};
};

TEST_F(UnusedRowsTest, WhatIsNotWatchedIsHiddenThenGivenBack) {
  EXPECT_THAT(look({row(1, 5)}, kStart).hide, IsEmpty());
  EXPECT_THAT(look({row(1, 5)}, kStart + 139s).hide, IsEmpty());
  const auto turn = look({row(1, 5)}, kStart + 140s);
  EXPECT_THAT(turn.hide, ElementsAre(row(1, 5)));
  EXPECT_THAT(turn.give_back, IsEmpty());
  const auto next = look({row(1, 5)}, kStart + 150s);
  EXPECT_THAT(next.give_back, ElementsAre(row(1, 5)));
  EXPECT_THAT(look({row(1, 5)}, kStart + 160s).hide, IsEmpty()) << "it is another's now";
}

TEST_F(UnusedRowsTest, WhatIsCountedMeanwhileStays) {
  look({row(1, 5)}, kStart);
  look({row(1, 6)}, kStart + 139s);
  EXPECT_THAT(look({row(1, 6)}, kStart + 278s).hide, IsEmpty());
  EXPECT_THAT(look({row(1, 6)}, kStart + 279s).hide, ElementsAre(row(1, 6)));
  const auto turn = look({row(1, 7)}, kStart + 289s);
  EXPECT_THAT(turn.show, ElementsAre(row(1, 7)));
  EXPECT_THAT(turn.give_back, IsEmpty());
  EXPECT_THAT(look({row(1, 7)}, kStart + 299s).give_back, IsEmpty());
}

TEST_F(UnusedRowsTest, ListedOnesStay) {
  use = RowUse::kListed;
  look({row(1, 5)}, kStart);
  EXPECT_THAT(look({row(1, 5)}, kStart + 100h).hide, IsEmpty());
  use = RowUse::kNone;
  EXPECT_THAT(look({row(1, 5)}, kStart + 100h + 139s).hide, IsEmpty()) << "from when it was listed last";
  look({row(1, 5)}, kStart + 100h + 140s);
  use = RowUse::kListed;
  EXPECT_THAT(look({row(1, 5)}, kStart + 100h + 150s).show, ElementsAre(row(1, 5))) << "hidden, and back again";
}

TEST_F(UnusedRowsTest, CoveredOnesStayAnHourUnlessThereAreMany) {
  use = RowUse::kCovered;
  look({row(1, 5), row(2, 5)}, kStart);
  EXPECT_THAT(look({row(1, 5), row(2, 5)}, kStart + 59min).hide, IsEmpty());
  EXPECT_THAT(look({row(1, 5), row(2, 5), row(3, 1)}, kStart + 59min + 1s).hide, ElementsAre(row(1, 5), row(2, 5)))
      << "a third one makes it crowded";
}

TEST_F(UnusedRowsTest, CoveredOnesGoAfterAnHour) {
  use = RowUse::kCovered;
  look({row(1, 5)}, kStart);
  EXPECT_THAT(look({row(1, 5)}, kStart + 1h).hide, ElementsAre(row(1, 5)));
}

TEST(RowUse, IsListedCoveredOrNone) {
  const std::set<Frontend> watched{{.address = *IpAddress::parse("10.0.5.5"), .port = 443},
                                   {.address = *IpAddress::parse("10.0.5.6")},
                                   {.address = *IpAddress::parse("10.9.0.0"), .prefix_length = 112},
                                   {.address = *IpAddress::parse("fd00:5::"), .prefix_length = 64}};
  EXPECT_EQ(use_of(endpoint("10.0.5.5", 443), watched), RowUse::kListed);
  EXPECT_EQ(use_of(endpoint("10.0.5.5", 80), watched), RowUse::kNone);
  EXPECT_EQ(use_of(endpoint("10.0.5.6", 80), watched), RowUse::kCovered);
  EXPECT_EQ(use_of(endpoint("10.9.255.1", 80), watched), RowUse::kCovered);
  EXPECT_EQ(use_of(endpoint("10.10.0.1", 80), watched), RowUse::kNone);
  EXPECT_EQ(use_of(endpoint("fd00:5::77", 80), watched), RowUse::kCovered);
  EXPECT_EQ(use_of(endpoint("fd00:6::77", 80), watched), RowUse::kNone);
}

}  // namespace
}  // namespace hairpind
