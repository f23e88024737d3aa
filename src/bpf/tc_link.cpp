// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/tc_link.hpp"

#include <bpf/bpf.h>

#include <cerrno>

namespace hairpind {
namespace {

// uapi/linux/bpf.h of 6.6; Debian 12's headers are older.
constexpr int kBpfTcxIngress = 46;
constexpr int kBpfTcxEgress = 47;
constexpr std::uint32_t kBpfFlagBefore = 1U << 3U;

}  // namespace

std::string_view to_string(AttachMode mode) {
  switch (mode) {
    case AttachMode::kTcx:
      break;
  }
  return "tcx";
}

std::expected<TcLink, TcLink::AttachError> TcLink::attach(AttachMode /*mode*/, std::uint32_t ifindex,
                                                          TcDirection direction, int program_fd) {
  const int type = direction == TcDirection::kIngress ? kBpfTcxIngress : kBpfTcxEgress;
  // "Before" relative to nothing: the head of the list, so that no verdict of another program hides packets.
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = kBpfFlagBefore;
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): newer than this libbpf's enum
  const int link = bpf_link_create(program_fd, static_cast<int>(ifindex), static_cast<bpf_attach_type>(type), &options);
  if (link < 0) {
    return std::unexpected(AttachError{
        .device_gone = link == -ENODEV,
        .error = fail_errno("attach tcx " + std::string(direction == TcDirection::kIngress ? "ingress" : "egress") +
                                " to ifindex " + std::to_string(ifindex),
                            link)
                     .error()});
  }
  return TcLink(FileDescriptor(link));
}

}  // namespace hairpind
