// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/network_view.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cstring>

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

/// One message, as the kernel would send it.
class Message {
 public:
  template <typename Header>
  Message(std::uint16_t type, const Header& content) {
    header_ = mnl_nlmsg_put_header(buffer_.data());
    header_->nlmsg_type = type;
    std::memcpy(mnl_nlmsg_put_extra_header(header_, sizeof(content)), &content, sizeof(content));
  }
  Message& text(std::uint16_t type, const char* value) {
    mnl_attr_put_strz(header_, type, value);
    return *this;
  }
  Message& number(std::uint16_t type, std::uint32_t value) {
    mnl_attr_put_u32(header_, type, value);
    return *this;
  }
  Message& bytes(std::uint16_t type, const void* data, std::size_t size) {
    mnl_attr_put(header_, type, size, data);
    return *this;
  }
  Message& address(std::uint16_t type, const IpAddress& address) {
    const std::size_t skip = address.is_v4() ? 12 : 0;
    return bytes(type, address.bytes.data() + skip, 16 - skip);
  }
  Message& nested_text(std::uint16_t type, std::uint16_t inner, const char* value) {
    nlattr* const nest = mnl_attr_nest_start(header_, type);
    mnl_attr_put_strz(header_, inner, value);
    mnl_attr_nest_end(header_, nest);
    return *this;
  }
  operator const nlmsghdr&() const { return *header_; }  // NOLINT(google-explicit-constructor): reads as one

 private:
  alignas(nlmsghdr) std::array<char, 1024> buffer_{};
  nlmsghdr* header_ = nullptr;
};

Message link(std::uint16_t type, int ifindex, unsigned flags = IFF_UP, unsigned char family = AF_UNSPEC) {
  return {type, ifinfomsg{.ifi_family = family,
                          .__ifi_pad = 0,
                          .ifi_type = 0,
                          .ifi_index = ifindex,
                          .ifi_flags = flags,
                          .ifi_change = 0}};
}

Message named_link(int ifindex, const char* name) {
  Message message = link(RTM_NEWLINK, ifindex);
  message.text(IFLA_IFNAME, name);
  return message;
}

Message address(std::uint16_t type, std::uint32_t ifindex, const char* text) {
  Message message(type, ifaddrmsg{.ifa_family = static_cast<std::uint8_t>(ip(text).is_v4() ? AF_INET : AF_INET6),
                                  .ifa_prefixlen = 24,
                                  .ifa_flags = 0,
                                  .ifa_scope = 0,
                                  .ifa_index = ifindex});
  message.address(IFA_ADDRESS, ip(text));
  return message;
}

rtmsg default_route() {
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_type = RTN_UNICAST;
  return route;
}

TEST(NetworkView, LinksAsTheyAreDescribed) {
  NetworkState state;
  Message veth = link(RTM_NEWLINK, 7);
  veth.text(IFLA_IFNAME, "veth1").number(IFLA_MASTER, 3).number(IFLA_LINK_NETNSID, 0);
  veth.nested_text(IFLA_LINKINFO, IFLA_INFO_KIND, "veth");
  take_listed(veth, state);
  Message loopback = link(RTM_NEWLINK, 1, IFF_UP | IFF_LOOPBACK);
  loopback.text(IFLA_IFNAME, "lo");
  take_listed(loopback, state);
  const NetworkView view = view_of(state);
  EXPECT_EQ(view.interfaces.at(7), (NetworkInterface{.ifindex = 7,
                                                     .name = "veth1",
                                                     .kind = "veth",
                                                     .master_ifindex = 3,
                                                     .peer_in_other_namespace = true,
                                                     .up = true,
                                                     .peer_namespace = 0}));
  EXPECT_TRUE(view.interfaces.at(1).loopback);
  EXPECT_FALSE(view.interfaces.at(1).peer_in_other_namespace);
}

TEST(NetworkView, ALinkThatGoesTakesEverythingWithIt) {
  NetworkState state;
  take_listed(named_link(7, "eth0"), state);
  take_listed(address(RTM_NEWADDR, 7, "10.0.0.4"), state);
  take_listed(Message(RTM_NEWROUTE, default_route()).number(RTA_OIF, 7), state);
  EXPECT_TRUE(view_of(state).interfaces.at(7).has_default_route);
  NetworkState with_another = state;
  take_listed(named_link(8, "eth8"), with_another);
  take_listed(address(RTM_NEWADDR, 8, "10.0.8.4"), with_another);
  take_listed(Message(RTM_NEWROUTE, default_route()).number(RTA_OIF, 8), with_another);
  take_notification(link(RTM_DELLINK, 7), with_another);
  EXPECT_THAT(view_of(with_another).addresses, ElementsAre(ip("10.0.8.4"))) << "and nothing of another's";
  EXPECT_TRUE(view_of(with_another).interfaces.at(8).has_default_route);
  // Leaving a bridge is told in the bridge's own words.
  take_notification(link(RTM_DELLINK, 7, IFF_UP, AF_BRIDGE), state);
  EXPECT_THAT(view_of(state).interfaces, ElementsAre(Key(7)));
  take_notification(link(RTM_DELLINK, 7), state);
  EXPECT_EQ(view_of(state), NetworkView());
  // The same number for another device: nothing of the old one is left.
  take_notification(named_link(7, "eth1"), state);
  EXPECT_FALSE(view_of(state).interfaces.at(7).has_default_route);
}

TEST(NetworkView, AddressesComeAndGo) {
  NetworkState state;
  take_listed(address(RTM_NEWADDR, 7, "10.0.0.4"), state);
  take_notification(address(RTM_NEWADDR, 7, "fd00::4"), state);
  take_notification(address(RTM_NEWADDR, 7, "fe80::4"), state);
  EXPECT_THAT(view_of(state).addresses, ElementsAre(ip("10.0.0.4"), ip("fd00::4")));
  take_notification(address(RTM_DELADDR, 7, "10.0.0.4"), state);
  EXPECT_THAT(view_of(state).addresses, ElementsAre(ip("fd00::4")));
}

TEST(NetworkView, AnAddressOfTwoDevicesStaysWithTheOther) {
  NetworkState state;
  take_listed(address(RTM_NEWADDR, 7, "10.0.0.4"), state);
  take_listed(address(RTM_NEWADDR, 8, "10.0.0.4"), state);
  take_notification(address(RTM_DELADDR, 7, "10.0.0.4"), state);
  EXPECT_THAT(view_of(state).addresses, ElementsAre(ip("10.0.0.4")));
  take_notification(link(RTM_DELLINK, 8), state);
  EXPECT_THAT(view_of(state).addresses, IsEmpty());
}

TEST(NetworkView, OnAPointToPointLinkTheOtherEndsAddressIsNotOurs) {
  NetworkState state;
  Message message = address(RTM_NEWADDR, 7, "10.9.9.2");
  message.address(IFA_LOCAL, ip("10.9.9.1"));
  take_listed(message, state);
  EXPECT_THAT(view_of(state).addresses, ElementsAre(ip("10.9.9.1")));
}

TEST(NetworkView, DefaultRoutesOfEachKind) {
  NetworkState state;
  take_listed(Message(RTM_NEWROUTE, default_route()).number(RTA_OIF, 7), state);
  // Two ways at once: an attribute of next hops instead of a device.
  const std::array<rtnexthop, 2> hops{
      rtnexthop{.rtnh_len = sizeof(rtnexthop), .rtnh_flags = 0, .rtnh_hops = 0, .rtnh_ifindex = 8},
      rtnexthop{.rtnh_len = sizeof(rtnexthop), .rtnh_flags = 0, .rtnh_hops = 0, .rtnh_ifindex = 9}};
  take_listed(Message(RTM_NEWROUTE, default_route()).bytes(RTA_MULTIPATH, hops.data(), sizeof(hops)), state);
  EXPECT_THAT(state.default_routes, ElementsAre(7, 8, 9));

  rtmsg subnet = default_route();
  subnet.rtm_dst_len = 24;
  rtmsg unreachable = default_route();
  unreachable.rtm_type = RTN_UNREACHABLE;
  rtmsg cached = default_route();
  cached.rtm_flags = RTM_F_CLONED;
  for (const rtmsg& other : {subnet, unreachable, cached}) {
    take_listed(Message(RTM_NEWROUTE, other).number(RTA_OIF, 10), state);
  }
  EXPECT_THAT(state.default_routes, ElementsAre(7, 8, 9));
}

TEST(NetworkView, DefaultRoutesThatWereOnlyAnnounced) {
  NetworkState state;
  for (const std::uint32_t ifindex : {7U, 8U}) {
    ifinfomsg link{};
    link.ifi_index = static_cast<int>(ifindex);
    take_listed(Message(RTM_NEWLINK, link), state);
    rtmsg announced = default_route();
    announced.rtm_protocol = RTPROT_RA;
    take_listed(Message(RTM_NEWROUTE, announced).number(RTA_OIF, ifindex), state);
  }
  take_listed(Message(RTM_NEWROUTE, default_route()).number(RTA_OIF, 8), state);
  const NetworkView view = view_of(state);
  EXPECT_TRUE(view.interfaces.at(7).has_default_route);
  EXPECT_TRUE(view.interfaces.at(7).default_route_announced);
  EXPECT_TRUE(view.interfaces.at(8).has_default_route);
  EXPECT_FALSE(view.interfaces.at(8).default_route_announced) << "it has another, too";
}

rtmsg route_to(const char* destination, unsigned char length) {
  rtmsg route = default_route();
  route.rtm_family = ip(destination).is_v4() ? AF_INET : AF_INET6;
  route.rtm_dst_len = length;
  route.rtm_table = RT_TABLE_MAIN;
  return route;
}

Message to(const char* destination, unsigned char length, std::uint32_t ifindex) {
  Message message(RTM_NEWROUTE, route_to(destination, length));
  message.address(RTA_DST, ip(destination)).number(RTA_OIF, ifindex);
  return message;
}

TEST(NetworkView, RoutesThatTogetherAreADefaultRoute) {
  NetworkState state;
  take_listed(to("0.0.0.0", 1, 7), state);
  take_listed(to("128.0.0.0", 1, 8), state);
  take_listed(to("2000::", 3, 9), state);
  take_listed(to("10.0.0.0", 8, 10), state);
  take_listed(to("fd00::", 8, 10), state);
  EXPECT_THAT(state.default_routes, ElementsAre(7, 8, 9));
}

TEST(NetworkView, WhichDefaultRouteComesFirst) {
  NetworkState state;
  for (int i = 7; i <= 12; i++) {
    take_listed(named_link(i, "d"), state);
  }
  const rtmsg main = route_to("0.0.0.0", 0);
  rtmsg other = main;
  other.rtm_table = 101;
  rtmsg six = route_to("::", 0);
  take_listed(
      Message(RTM_NEWROUTE, main).number(RTA_OIF, 7).number(RTA_PRIORITY, 100).address(RTA_GATEWAY, ip("10.0.0.1")),
      state);
  take_listed(
      Message(RTM_NEWROUTE, main).number(RTA_OIF, 8).number(RTA_PRIORITY, 50).address(RTA_GATEWAY, ip("10.0.8.1")),
      state);
  take_listed(Message(RTM_NEWROUTE, main).number(RTA_OIF, 9).number(RTA_PRIORITY, 200), state);
  take_listed(Message(RTM_NEWROUTE, other).number(RTA_OIF, 10).address(RTA_GATEWAY, ip("10.0.10.1")), state);
  take_listed(Message(RTM_NEWROUTE, six).number(RTA_OIF, 11).number(RTA_PRIORITY, 1024), state);
  six.rtm_protocol = RTPROT_RA;
  take_listed(Message(RTM_NEWROUTE, six).number(RTA_OIF, 12).number(RTA_PRIORITY, 1), state);
  const NetworkView view = view_of(state);
  std::set<std::uint32_t> first;
  for (const auto& [ifindex, interface] : view.interfaces) {
    EXPECT_TRUE(interface.has_default_route) << ifindex;
    if (interface.default_route_first) {
      first.insert(ifindex);
    }
  }
  EXPECT_THAT(first, ElementsAre(8, 11)) << "of each family, by metric, and not by advertisement or another table";
  EXPECT_THAT(view.gateways, ::testing::UnorderedElementsAre(ip("10.0.0.1"), ip("10.0.8.1")));
}

TEST(NetworkView, RoutesToOneAddress) {
  NetworkState state;
  take_listed(named_link(7, "veth7"), state);
  take_listed(to("10.0.1.10", 32, 7), state);
  take_notification(to("fd00:1::10", 128, 7), state);
  Message by_gateway = to("10.0.1.11", 32, 7);
  by_gateway.address(RTA_GATEWAY, ip("10.0.0.1"));
  take_notification(by_gateway, state);
  take_notification(to("10.0.2.0", 24, 7), state);
  using Routes = std::set<HostRoute>;
  EXPECT_EQ(view_of(state).host_routes, (Routes{{ip("10.0.1.10"), 7}, {ip("fd00:1::10"), 7}}));
  NetworkState down = state;
  take_notification(link(RTM_NEWLINK, 7, 0), down);
  EXPECT_EQ(view_of(down).host_routes, (Routes{{ip("fd00:1::10"), 7}})) << "IPv4's go unannounced";
  Message gone(RTM_DELROUTE, route_to("fd00:1::10", 128));
  gone.address(RTA_DST, ip("fd00:1::10")).number(RTA_OIF, 7);
  take_notification(gone, state);
  EXPECT_EQ(view_of(state).host_routes, (Routes{{ip("10.0.1.10"), 7}}));
  take_notification(link(RTM_DELLINK, 7), state);
  EXPECT_EQ(view_of(state).host_routes, Routes{});
}

TEST(NetworkView, FurtherAddressesAreOfOneNetworkNamespace) {
  NetworkView view;
  for (const auto& [ifindex, peer] : {std::pair<std::uint32_t, int>{7, 0}, {8, 0}, {9, 1}, {10, -1}, {11, 1}}) {
    view.interfaces[ifindex].ifindex = ifindex;
    view.interfaces[ifindex].peer_namespace = peer;
  }
  view.host_routes = {{ip("fd00::7"), 7},        {ip("169.254.172.5"), 8}, {ip("fd00::9"), 9},
                      {ip("169.254.172.6"), 11}, {ip("10.0.0.10"), 10},    {ip("fd00::a"), 10}};
  const std::set<IpAddress> named{ip("fd00::7"), ip("fd00::9"), ip("fd00::a")};
  using Further = std::map<IpAddress, IpAddress>;
  EXPECT_EQ(further_addresses(view, named),
            (Further{{ip("169.254.172.5"), ip("fd00::7")}, {ip("169.254.172.6"), ip("fd00::9")}}));
  EXPECT_EQ(further_addresses(view, {}), Further{});
  view.host_routes.insert({ip("169.254.172.5"), 9});
  EXPECT_FALSE(further_addresses(view, named).contains(ip("169.254.172.5"))) << "routed to two pods";
}

TEST(NetworkView, SubnetsOfTheNodesOwn) {
  NetworkState state;
  const auto on_subnet = [&] { return view_of(state).interfaces.at(7).on_subnet; };
  take_listed(named_link(7, "eth0"), state);
  EXPECT_FALSE(on_subnet());
  Message whole(RTM_NEWADDR,
                ifaddrmsg{.ifa_family = AF_INET, .ifa_prefixlen = 32, .ifa_flags = 0, .ifa_scope = 0, .ifa_index = 7});
  take_listed(whole.address(IFA_ADDRESS, ip("169.254.1.1")), state);
  take_listed(address(RTM_NEWADDR, 7, "fd00::4"), state);
  EXPECT_FALSE(on_subnet()) << "one address, and one that a router advertised";
  take_listed(address(RTM_NEWADDR, 7, "10.0.0.4"), state);
  EXPECT_TRUE(on_subnet());
  take_notification(address(RTM_DELADDR, 7, "10.0.0.4"), state);
  EXPECT_FALSE(on_subnet());
}

TEST(NetworkView, SomebodyAsksAgainWhenAnyRouteChanges) {
  const auto changed_after = [](const Message& message) {
    NetworkState state;
    take_notification(message, state);
    return state.routes_changed;
  };
  EXPECT_TRUE(changed_after(to("10.2.0.0", 16, 8)));
  EXPECT_TRUE(changed_after(Message(RTM_NEWRULE, rtmsg{})));
  EXPECT_TRUE(changed_after(address(RTM_DELADDR, 7, "10.0.0.4")));
  EXPECT_TRUE(changed_after(link(RTM_NEWLINK, 7, 0)));
  EXPECT_FALSE(changed_after(link(RTM_NEWLINK, 7)));
}

TEST(NetworkView, RoutesAreAskedForAnewWhenOneMayHaveComeOrGone) {
  const auto stale_after = [](const Message& message) {
    NetworkState state;
    state.default_routes = {7};
    take_notification(message, state);
    return state.routes_stale;
  };
  EXPECT_TRUE(stale_after(Message(RTM_NEWROUTE, default_route()).number(RTA_OIF, 8)));
  EXPECT_TRUE(stale_after(Message(RTM_DELROUTE, default_route()).number(RTA_OIF, 7)));
  EXPECT_TRUE(stale_after(address(RTM_DELADDR, 7, "10.0.0.4"))) << "the route goes with it, unannounced";
  EXPECT_TRUE(stale_after(link(RTM_NEWLINK, 7, 0))) << "and with its device's state";
  EXPECT_FALSE(stale_after(link(RTM_NEWLINK, 7)));
  EXPECT_FALSE(stale_after(link(RTM_NEWLINK, 8, 0)));
  EXPECT_FALSE(stale_after(address(RTM_DELADDR, 8, "10.0.0.4")));
  rtmsg subnet = default_route();
  subnet.rtm_dst_len = 24;
  EXPECT_FALSE(stale_after(Message(RTM_NEWROUTE, subnet)));
}

TEST(NetworkView, FiltersThatMayHaveChanged) {
  NetworkState state;
  for (const auto& [type, ifindex] :
       {std::pair<std::uint16_t, int>{RTM_NEWTFILTER, 7}, {RTM_DELTFILTER, 8}, {RTM_DELQDISC, 9}, {RTM_NEWQDISC, 10}}) {
    tcmsg content{};
    content.tcm_ifindex = ifindex;
    take_notification(Message(type, content), state);
  }
  EXPECT_THAT(state.filters_changed, ElementsAre(7, 8, 9));
}

}  // namespace
}  // namespace hairpind
