// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/frontend.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hairpind {
namespace {

TEST(ParseLoadBalancer, AddressesPortsAndPrefixes) {
  struct Case {
    const char* text;
    const char* address;
    int prefix_length;
    int port;
    const char* written;
  };
  for (const Case& test : {
           Case{"10.0.5.5", "10.0.5.5", 128, 0, "10.0.5.5"},
           Case{"10.0.5.5:443", "10.0.5.5", 128, 443, "10.0.5.5:443"},
           Case{"10.0.5.5:65535", "10.0.5.5", 128, 65535, "10.0.5.5:65535"},
           Case{"fd00::5", "fd00::5", 128, 0, "fd00::5"},
           Case{"[fd00::5]", "fd00::5", 128, 0, "fd00::5"},
           Case{"[fd00::5]:443", "fd00::5", 128, 443, "[fd00::5]:443"},
           Case{"10.0.5.0/24", "10.0.5.0", 120, 0, "10.0.5.0/24"},
           Case{"0.0.0.0/0", "0.0.0.0", 96, 0, "0.0.0.0/0"},
           Case{"fd00::/8", "fd00::", 8, 0, "fd00::/8"},
           Case{"10.0.5.5/32", "10.0.5.5", 128, 0, "10.0.5.5"},
       }) {
    const auto parsed = parse_load_balancer(test.text);
    ASSERT_TRUE(parsed) << test.text << ": " << parsed.error().message;
    const auto* const frontend = std::get_if<Frontend>(&*parsed);
    ASSERT_NE(frontend, nullptr) << test.text;
    EXPECT_EQ(frontend->address, IpAddress::parse(test.address)) << test.text;
    EXPECT_EQ(frontend->prefix_length, test.prefix_length) << test.text;
    EXPECT_EQ(frontend->port, test.port) << test.text;
    EXPECT_EQ(frontend->to_string(), test.written);
  }
}

TEST(ParseLoadBalancer, HostNames) {
  EXPECT_EQ(std::get<HostName>(*parse_load_balancer("lb.example.com:443")),
            (HostName{.name = "lb.example.com", .port = 443}));
  EXPECT_EQ(std::get<HostName>(*parse_load_balancer("internal-1.elb.eu-west-1.amazonaws.com")),
            (HostName{.name = "internal-1.elb.eu-west-1.amazonaws.com", .port = 0}));
}

TEST(ParseLoadBalancer, RefusalNamesTheValueAndWhatWasExpected) {
  for (const char* const text : {"",
                                 ":",
                                 ":443",
                                 "10.0.5",
                                 "10.0.5.5:",
                                 "10.0.5.5:0",
                                 "10.0.5.5:65536",
                                 "10.0.5.5:443x",
                                 "10.0.5.5:-1",
                                 "10.0.5.5/33",
                                 "10.0.5.5/24",
                                 "10.0.5.0/24:443",
                                 "10.0.5.0/",
                                 "fd00::/129",
                                 "[fd00::5",
                                 "[10.0.5.5]:443",
                                 "[fd00::5]443",
                                 "fd00::5::1",
                                 "999.1.1.1",
                                 "lb example",
                                 "lb..example.com",
                                 "http://lb.example.com",
                                 "-lb"}) {
    const auto parsed = parse_load_balancer(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_THAT(parsed.error().message, ::testing::HasSubstr("'" + std::string(text) + "'"));
    EXPECT_THAT(parsed.error().message, ::testing::HasSubstr("expected"));
  }
}

TEST(ParseLoadBalancer, HostBitsSuggestThePrefixThatWasMeant) {
  EXPECT_THAT(parse_load_balancer("10.0.5.5/24").error().message, ::testing::HasSubstr("10.0.5.0/24"));
  EXPECT_THAT(parse_load_balancer("fd00::5/64").error().message, ::testing::HasSubstr("fd00::/64"));
}

}  // namespace
}  // namespace hairpind
