// SPDX-License-Identifier: Apache-2.0
#include "tc_programs.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <array>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind::testing {
namespace {

// uapi/linux/bpf.h of 6.6; Debian 12's headers are older.
constexpr int kBpfTcxIngress = 46;
constexpr int kBpfTcxEgress = 47;

}  // namespace

std::vector<std::uint32_t> tcx_programs(const NetworkLab& lab, const std::string& device, TcHook hook) {
  std::array<std::uint32_t, 16> ids{};
  std::uint32_t count = ids.size();
  lab.inside("node", [&] {
    const int type = hook == TcHook::kIngress ? kBpfTcxIngress : kBpfTcxEgress;
    // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): newer than this libbpf's enum
    ASSERT_EQ(bpf_prog_query(static_cast<int>(if_nametoindex(device.c_str())), static_cast<bpf_attach_type>(type), 0,
                             nullptr, ids.data(), &count),
              0)
        << device;
  });
  return {ids.begin(), ids.begin() + count};
}

std::uint32_t clsact_program(const NetworkLab& lab, const std::string& device) {
  std::uint32_t id = 0;
  lab.inside("node", [&] {
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    hook.attach_point = BPF_TC_INGRESS;
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.handle = 1;
    filter.priority = 1;
    id = bpf_tc_query(&hook, &filter) == 0 ? filter.prog_id : 0;
  });
  return id;
}

std::uint32_t pinned_program(const std::string& path) {
  const FileDescriptor program(bpf_obj_get(path.c_str()));
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 ? info.id : 0;
}

}  // namespace hairpind::testing
