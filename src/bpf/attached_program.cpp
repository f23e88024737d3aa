// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/attached_program.hpp"

#include <bpf/bpf.h>

#include <cerrno>
#include <optional>

#include "clsact_filter.hpp"

namespace hairpind {
namespace {

// uapi/linux/bpf.h of 6.6; Debian 12's headers are older.
constexpr int kBpfTcxIngress = 46;
constexpr int kBpfTcxEgress = 47;
// Of 6.7.
constexpr int kBpfNetkitPrimary = 54;
constexpr int kBpfNetkitPeer = 55;
constexpr std::uint32_t kBpfFlagBefore = 1U << 3U;

// Newer than this libbpf's enum, which has room for them.
bpf_attach_type attach_type(int type) {
  // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange)
  return static_cast<bpf_attach_type>(type);
}

int tcx_type(TcDirection direction) {
  return direction == TcDirection::kIngress ? kBpfTcxIngress : kBpfTcxEgress;
}

// How many programs are linked there, ours among them; nullopt where the kernel does not tell this process.
std::optional<std::uint32_t> count_linked(std::uint32_t ifindex, int type) {
  std::uint32_t count = 0;
  const int error = bpf_prog_query(static_cast<int>(ifindex), attach_type(type), 0, nullptr, nullptr, &count);
  // The others mean that there can be none: no such kind of link, or of device.
  return error == -EPERM ? std::nullopt : std::optional(error == 0 ? count : 0);
}

// The link's descriptor, or a negative errno.
int link_first(std::uint32_t ifindex, int type, int program_fd) {
  // "Before" relative to nothing: the head of the list, so that no verdict of another program hides packets.
  bpf_link_create_opts options{};
  options.sz = sizeof(options);
  options.flags = kBpfFlagBefore;
  return bpf_link_create(program_fd, static_cast<int>(ifindex), attach_type(type), &options);
}

std::expected<FileDescriptor, AttachedProgram::AttachError> attach_tcx(std::uint32_t ifindex, TcDirection direction,
                                                                       int program_fd) {
  const int link = link_first(ifindex, tcx_type(direction), program_fd);
  if (link < 0) {
    return std::unexpected(AttachedProgram::AttachError{
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

AttachedProgram::AttachedProgram(std::uint32_t ifindex, TcDirection direction, FileDescriptor link)
    : ifindex_(ifindex), direction_(direction), link_(std::move(link)) {}
AttachedProgram::AttachedProgram(std::uint32_t ifindex, TcDirection direction, std::unique_ptr<ClsactFilter> filter)
    : ifindex_(ifindex), direction_(direction), filter_(std::move(filter)) {}
AttachedProgram::AttachedProgram(AttachedProgram&&) noexcept = default;
AttachedProgram& AttachedProgram::operator=(AttachedProgram&&) noexcept = default;
AttachedProgram::~AttachedProgram() = default;

std::expected<AttachedProgram, AttachedProgram::AttachError> AttachedProgram::attach(AttachMode mode,
                                                                                     std::uint32_t ifindex,
                                                                                     TcDirection direction,
                                                                                     int program_fd) {
  if (auto removed = ClsactFilter::remove_leftovers(ifindex, direction); !removed) {
    return std::unexpected(AttachError{.device_gone = false, .error = std::move(removed.error())});
  }
  if (mode == AttachMode::kTcx) {
    // Any other device refuses.
    FileDescriptor at_peer(direction == TcDirection::kIngress ? link_first(ifindex, kBpfNetkitPeer, program_fd) : -1);
    if (at_peer.get() >= 0) {
      AttachedProgram attached(ifindex, direction, std::move(at_peer));
      attached.at_peer_ = true;
      return attached;
    }
    auto link = attach_tcx(ifindex, direction, program_fd);
    if (!link) {
      return std::unexpected(std::move(link.error()));
    }
    return AttachedProgram(ifindex, direction, *std::move(link));
  }
  auto filter = ClsactFilter::attach(ifindex, direction, program_fd);
  if (!filter) {
    return std::unexpected(std::move(filter.error()));
  }
  return AttachedProgram(ifindex, direction, *std::move(filter));
}

Result<void> AttachedProgram::remove_leftovers(std::uint32_t ifindex) {
  for (const TcDirection direction : {TcDirection::kIngress, TcDirection::kEgress}) {
    if (auto removed = ClsactFilter::remove_leftovers(ifindex, direction); !removed) {
      return removed;
    }
  }
  return {};
}

Result<bool> AttachedProgram::first_in_line() const {
  return filter_ ? filter_->first_in_line() : true;
}

bool AttachedProgram::may_be_followed(bool look_at_filters) {
  if (look_at_filters) {
    const auto foreign = ClsactFilter::has_foreign(ifindex_, direction_);
    foreign_filters_ = !foreign || *foreign;
  }
  if (foreign_filters_) {
    return true;
  }
  // What is sent to a netkit device passes the programs of its own last of all.
  if (direction_ == TcDirection::kEgress && count_linked(ifindex_, kBpfNetkitPrimary).value_or(1) > 0) {
    return true;
  }
  // A TCX program runs before every filter.
  return !filter_ && count_linked(ifindex_, tcx_type(direction_)).value_or(2) > 1;
}

bool AttachedProgram::is_preceded() const {
  if (direction_ == TcDirection::kIngress && !at_peer_ && count_linked(ifindex_, kBpfNetkitPeer).value_or(0) > 0) {
    return true;
  }
  return filter_ && count_linked(ifindex_, tcx_type(direction_)).value_or(0) > 0;
}

}  // namespace hairpind
