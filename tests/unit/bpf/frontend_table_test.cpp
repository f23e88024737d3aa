// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/frontend_table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "fake_map.hpp"

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using testing::FakeMap;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Frontend frontend(const char* address, std::uint16_t port = 443) {
  return {.address = *IpAddress::parse(address), .port = port};
}

class FrontendTableTest : public ::testing::Test {
 protected:
  FrontendTable::Refused change(const std::vector<Frontend>& added, const std::vector<Frontend>& removed = {}) {
    return table.change(added, removed);
  }
  std::optional<hp_frontend> entry(const char* address, std::uint16_t port) const {
    return frontends.get<hp_frontend>(Endpoint{.address = *IpAddress::parse(address), .port = port}.to_abi());
  }
  bool filter_empty() const {
    return std::ranges::all_of(filter, [](__u64 word) { return word == 0; });
  }

  FakeMap frontends;
  FakeMap prefixes;
  std::array<__u64, HP_ADDRESS_FILTER_BITS / 64> filter{};
  FrontendTable table{{.frontends = frontends, .prefixes = prefixes, .filter = filter}};
};

TEST_F(FrontendTableTest, AnAddressHasAnEntryOfItsOwnAsLongAsOneOfItsPortsIsThere) {
  EXPECT_THAT(change({frontend("10.0.5.5"), frontend("10.0.5.5", 80)}).frontends, IsEmpty());
  EXPECT_EQ(frontends.size(), 3);
  EXPECT_EQ(entry("10.0.5.5", 0)->any_port, 0);
  EXPECT_FALSE(filter_empty());
  EXPECT_THAT(change({}, {frontend("10.0.5.5")}).frontends, IsEmpty());
  EXPECT_TRUE(entry("10.0.5.5", 0));
  EXPECT_FALSE(entry("10.0.5.5", 443));
  EXPECT_FALSE(filter_empty());
  EXPECT_THAT(change({}, {frontend("10.0.5.5", 80)}).frontends, IsEmpty());
  EXPECT_EQ(frontends.size(), 0);
  EXPECT_TRUE(filter_empty()) << "one bit too many costs a look-up for ever";
}

TEST_F(FrontendTableTest, EveryPortIsAWordInTheAddresssEntry) {
  change({frontend("10.0.5.5", 0), frontend("10.0.5.5")});
  EXPECT_EQ(entry("10.0.5.5", 0)->any_port, 1);
  EXPECT_EQ(frontends.size(), 2);
  change({}, {frontend("10.0.5.5", 0)});
  EXPECT_EQ(entry("10.0.5.5", 0)->any_port, 0) << "one port is left";
}

TEST_F(FrontendTableTest, PrefixesHaveAMapOfTheirOwn) {
  Frontend prefix = frontend("10.0.5.0", 0);
  prefix.prefix_length = 120;
  change({prefix, frontend("10.0.5.0", 80)});
  EXPECT_EQ(prefixes.size(), 1);
  EXPECT_EQ(frontends.size(), 2);
  change({}, {frontend("10.0.5.0", 80)});
  EXPECT_EQ(frontends.size(), 0) << "a prefix that begins with the address is not its port";
  change({}, {prefix});
  EXPECT_EQ(prefixes.size(), 0);
}

TEST_F(FrontendTableTest, WhatIsThereOrIsNotIsLeftAlone) {
  change({frontend("10.0.5.5")});
  const std::size_t before = frontends.puts();
  change({frontend("10.0.5.5")}, {frontend("10.0.5.6")});
  EXPECT_EQ(frontends.puts(), before);
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.5")));
}

TEST_F(FrontendTableTest, WhatGoesMakesRoomForWhatComes) {
  frontends.make_room(2);
  ASSERT_THAT(change({frontend("10.0.5.5")}).frontends, IsEmpty());
  EXPECT_THAT(change({frontend("10.0.5.6")}, {frontend("10.0.5.5")}).frontends, IsEmpty());
  EXPECT_THAT(table.watched(), ElementsAre(frontend("10.0.5.6")));
}

TEST_F(FrontendTableTest, AFullTableRefusesTheRestAndLeavesNoHalfOfIt) {
  frontends.make_room(5);
  const auto refused = change({frontend("10.0.5.1"), frontend("10.0.5.2"), frontend("10.0.5.3"), frontend("10.0.5.4")});
  EXPECT_THAT(refused.frontends, ElementsAre(frontend("10.0.5.3"), frontend("10.0.5.4")));
  EXPECT_THAT(refused.why, HasSubstr("10.0.5.3"));
  EXPECT_THAT(refused.why, HasSubstr("Argument list too long"));
  EXPECT_EQ(frontends.size(), 4) << "10.0.5.3:443 went in, its address did not";
  const std::size_t before = frontends.puts();
  const std::vector<Frontend> many(1000, frontend("10.0.6.1"));
  EXPECT_EQ(table.change(many, {}).frontends.size(), 1000);
  EXPECT_LE(frontends.puts(), before + 2) << "a full table is not asked a thousand times";
  change({}, {frontend("10.0.5.1"), frontend("10.0.5.2")});
  EXPECT_TRUE(filter_empty());
}

}  // namespace
}  // namespace hairpind
