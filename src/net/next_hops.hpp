// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>

#include <cstdint>
#include <set>

namespace hairpind {

/// Adds the devices (ifindexes) of a route's next hops: what its RTA_MULTIPATH holds (rtnetlink(7)).
inline void add_next_hops(const nlattr* multipath, std::set<std::uint32_t>& devices) {
  int left = mnl_attr_get_payload_len(multipath);
  const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(multipath));
  while (RTNH_OK(hop, left)) {
    devices.insert(static_cast<std::uint32_t>(hop->rtnh_ifindex));
    left -= RTNH_ALIGN(hop->rtnh_len);
    hop = RTNH_NEXT(hop);
  }
}

}  // namespace hairpind
