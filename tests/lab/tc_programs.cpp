// SPDX-License-Identifier: Apache-2.0
#include "tc_programs.hpp"

#include <bpf/bpf.h>
#include <gtest/gtest.h>
#include <net/if.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>

#include "hairpind/core/file_descriptor.hpp"
#include "kernel.hpp"

namespace hairpind::testing {
namespace {

// uapi/linux/bpf.h of 6.6; Debian 12's headers are older.
constexpr int kBpfTcxIngress = 46;
constexpr int kBpfTcxEgress = 47;
constexpr int kBpfNetkitPeer = 55;

struct PipeCloser {
  void operator()(FILE* pipe) const { pclose(pipe); }
};

}  // namespace

std::vector<std::uint32_t> tcx_programs(const NetworkLab& lab, const std::string& device, TcHook hook) {
  if (!kernel_has_tcx()) {
    return {};
  }
  std::array<std::uint32_t, 16> ids{};
  std::uint32_t count = ids.size();
  lab.inside("node", [&] {
    const int type = hook == TcHook::kNetkitPeer ? kBpfNetkitPeer
                     : hook == TcHook::kIngress  ? kBpfTcxIngress
                                                 : kBpfTcxEgress;
    // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): newer than this libbpf's enum
    ASSERT_EQ(bpf_prog_query(static_cast<int>(if_nametoindex(device.c_str())), static_cast<bpf_attach_type>(type), 0,
                             nullptr, ids.data(), &count),
              0)
        << device;
  });
  return {ids.begin(), ids.begin() + count};
}

std::vector<std::uint32_t> clsact_programs(const NetworkLab& lab, const std::string& device, TcHook hook) {
  const std::string command = "tc -n " + lab.namespace_name("node") + " -j filter show dev " + device +
                              (hook == TcHook::kIngress ? " ingress" : " egress");
  const std::unique_ptr<FILE, PipeCloser> output(popen(command.c_str(), "r"));
  std::vector<std::uint32_t> ids;
  // A device without filters: no output, or an empty list.
  const auto filters = nlohmann::json::parse(output.get(), nullptr, false);
  for (const auto& filter : filters.is_array() ? filters : nlohmann::json::array()) {
    const nlohmann::json program = filter.value("/options/prog"_json_pointer, nlohmann::json());
    if (program.is_object()) {
      ids.push_back(program.at("id"));
    }
  }
  return ids;
}

std::uint32_t pinned_program(const std::string& path) {
  const FileDescriptor program(bpf_obj_get(path.c_str()));
  bpf_prog_info info{};
  std::uint32_t size = sizeof(info);
  return bpf_obj_get_info_by_fd(program.get(), &info, &size) == 0 ? info.id : 0;
}

}  // namespace hairpind::testing
