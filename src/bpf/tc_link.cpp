// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/tc_link.hpp"

#include <bpf/bpf.h>

#include <cerrno>

#include "clsact_filter.hpp"

namespace hairpind {
namespace {

// uapi/linux/bpf.h of 6.6; Debian 12's headers are older.
constexpr int kBpfTcxIngress = 46;
constexpr int kBpfTcxEgress = 47;
constexpr std::uint32_t kBpfFlagBefore = 1U << 3U;

std::expected<FileDescriptor, TcLink::AttachError> attach_tcx(std::uint32_t ifindex, TcDirection direction,
                                                              int program_fd) {
  const int type = direction == TcDirection::kIngress ? kBpfTcxIngress : kBpfTcxEgress;
  // "Before" relative to nothing: the head of the list, so that no verdict of another program hides packets.
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = kBpfFlagBefore;
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): newer than this libbpf's enum
  const int link = bpf_link_create(program_fd, static_cast<int>(ifindex), static_cast<bpf_attach_type>(type), &options);
  if (link < 0) {
    return std::unexpected(TcLink::AttachError{
        .device_gone = link == -ENODEV,
        .error = fail_errno("attach tcx " + std::string(direction == TcDirection::kIngress ? "ingress" : "egress") +
                                " to ifindex " + std::to_string(ifindex),
                            link)
                     .error()});
  }
  return FileDescriptor(link);
}

}  // namespace

std::string_view to_string(AttachMode mode) {
  switch (mode) {
    case AttachMode::kTcx:
      return "tcx";
    case AttachMode::kClsact:
      break;
  }
  return "clsact";
}

Result<AttachMode> choose_attach_mode(std::string_view wanted, const KernelFeatures& features) {
  const bool tcx = features.has(Feature::kTcx);
  if (wanted == "tcx" && !tcx) {
    return fail(
        "--attach tcx: this kernel has no TCX links, which came with 6.6: leave --attach out, or give --attach clsact");
  }
  return wanted == "clsact" || !tcx ? AttachMode::kClsact : AttachMode::kTcx;
}

TcLink::TcLink(FileDescriptor link) : link_(std::move(link)) {}
TcLink::TcLink(std::unique_ptr<ClsactFilter> filter) : filter_(std::move(filter)) {}
TcLink::TcLink(TcLink&&) noexcept = default;
TcLink& TcLink::operator=(TcLink&&) noexcept = default;
TcLink::~TcLink() = default;

std::expected<TcLink, TcLink::AttachError> TcLink::attach(AttachMode mode, std::uint32_t ifindex, TcDirection direction,
                                                          int program_fd) {
  if (auto removed = ClsactFilter::remove_leftovers(ifindex, direction); !removed) {
    return std::unexpected(AttachError{.device_gone = false, .error = std::move(removed.error())});
  }
  if (mode == AttachMode::kTcx) {
    auto link = attach_tcx(ifindex, direction, program_fd);
    if (!link) {
      return std::unexpected(std::move(link.error()));
    }
    return TcLink(*std::move(link));
  }
  auto filter = ClsactFilter::attach(ifindex, direction, program_fd);
  if (!filter) {
    return std::unexpected(std::move(filter.error()));
  }
  return TcLink(*std::move(filter));
}

Result<void> TcLink::remove_leftovers(std::uint32_t ifindex) {
  for (const TcDirection direction : {TcDirection::kIngress, TcDirection::kEgress}) {
    if (auto removed = ClsactFilter::remove_leftovers(ifindex, direction); !removed) {
      return removed;
    }
  }
  return {};
}

Result<bool> TcLink::first_in_line() const {
  return filter_ ? filter_->first_in_line() : true;
}

}  // namespace hairpind
