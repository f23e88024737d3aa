// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string_view>

#include "hairpind/abi.h"

namespace hairpind {

/// Where a TC program sits (DESIGN: sensors). The names are those of the BPF programs and of the `hook` label.
enum class Hook : std::uint8_t { kFromPod, kToPod, kFromNet, kToNet };
inline constexpr std::array kAllHooks{Hook::kFromPod, Hook::kToPod, Hook::kFromNet, Hook::kToNet};
std::string_view to_string(Hook hook);

enum class DeviceRole : std::uint8_t { kPod = HP_DEVICE_POD, kUplink = HP_DEVICE_UPLINK };

struct Device {
  std::uint32_t ifindex = 0;
  DeviceRole role = DeviceRole::kPod;
  std::uint32_t master_ifindex = 0;  ///< bridge it is a port of, 0 if none

  auto operator<=>(const Device&) const = default;
};

}  // namespace hairpind
