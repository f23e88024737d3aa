// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "bpf_runner.hpp"
#include "hairpind/bpf/kernel_side.hpp"

namespace hairpind::testing {

/// A fixture in the namespace of enter_node_namespace(), one for each suite. Skips, with the reason, where there can be
/// none.
class NodeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { why_not() = enter_node_namespace(); }
  void SetUp() override {
    if (!why_not().empty()) {
      GTEST_SKIP() << why_not();
    }
  }

  /// All pods' devices and the uplink.
  static void attach_devices(KernelSide& kernel) {
    for (const char* const pod : {"pod1", "pod2", "br1", "br2"}) {
      const std::uint32_t master = std::string(pod).starts_with("br") ? ifindex_of("cni0") : 0;
      ASSERT_EQ(
          kernel.attachments.attach({.ifindex = ifindex_of(pod), .role = DeviceRole::kPod, .master_ifindex = master}),
          true);
    }
    ASSERT_EQ(kernel.attachments.attach({.ifindex = ifindex_of("eth0"), .role = DeviceRole::kUplink}), true);
  }

  static std::string& why_not() {
    static std::string reason;
    return reason;
  }
};

}  // namespace hairpind::testing
