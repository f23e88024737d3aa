// SPDX-License-Identifier: Apache-2.0
#include "clsact_filter.hpp"

#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace hairpind {
namespace {

// By these, "hp" and the next few, and by their programs' names, our filters are known again.
constexpr std::uint32_t kFirstHandle = 0x6870;
constexpr std::uint32_t kHandles = 16;
constexpr std::array<std::string_view, 4> kPrograms{"from_pod:[", "to_pod:[", "from_net:[", "to_net:["};
constexpr int kDumpAttempts = 10;

// One filter of a hook, or, with handle 0, the place of all filters of one priority.
struct Filter {
  std::uint32_t priority = 0;
  std::uint16_t protocol = 0;
  std::uint32_t handle = 0;
  std::string kind;
  std::string name;  ///< "program:[id]", as libbpf gives it on attaching
  std::uint32_t program_id = 0;
  std::uint32_t chain = 0;
};

bool is_ours(const Filter& filter) {
  return filter.kind == "bpf" && filter.handle >= kFirstHandle && filter.handle < kFirstHandle + kHandles &&
         std::ranges::any_of(kPrograms, [&](std::string_view name) { return filter.name.starts_with(name); });
}

std::string hook_name(std::uint32_t ifindex, TcDirection direction) {
  return std::string(direction == TcDirection::kIngress ? "ingress" : "egress") + " of ifindex " +
         std::to_string(ifindex);
}

bpf_tc_hook hook_of(std::uint32_t ifindex, TcDirection direction) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex);
  hook.attach_point = direction == TcDirection::kIngress ? BPF_TC_INGRESS : BPF_TC_EGRESS;
  return hook;
}

template <typename Visit>
int visit_attribute(const nlattr* attribute, void* visit) {
  (*static_cast<Visit*>(visit))(attribute);
  return MNL_CB_OK;
}

struct Request {
  std::uint16_t type;
  std::uint16_t flags;
  tcmsg message;
};

// Asks, and hands each message of the answer to `visit`. 0, or errno.
template <typename Visit>
int ask(const Request& request, Visit visit) {
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC),
                                                                        &mnl_socket_close);
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return errno;
  }
  // Dumps come in messages of up to this size (netlink.rst).
  std::vector<char> buffer(32768);
  nlmsghdr* const header = mnl_nlmsg_put_header(buffer.data());
  header->nlmsg_type = request.type;
  header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | request.flags);
  *static_cast<tcmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(tcmsg))) = request.message;
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) {
    return errno;
  }
  const auto on_message = [](const nlmsghdr* message, void* context) {
    (*static_cast<Visit*>(context))(message);
    return MNL_CB_OK;
  };
  for (;;) {
    const auto received = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (received < 0) {
      return errno;
    }
    const int state = mnl_cb_run(buffer.data(), static_cast<std::size_t>(received), 0,
                                 mnl_socket_get_portid(socket.get()), on_message, &visit);
    if (state == MNL_CB_STOP) {
      return 0;
    }
    if (state == MNL_CB_ERROR) {
      return errno;
    }
  }
}

Filter read_filter(const nlmsghdr* message) {
  const auto* const header = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
  Filter filter;
  filter.priority = TC_H_MAJ(header->tcm_info) >> 16U;
  filter.protocol = static_cast<std::uint16_t>(TC_H_MIN(header->tcm_info));
  filter.handle = header->tcm_handle;
  auto read_option = [&](const nlattr* option) {
    if (mnl_attr_get_type(option) == TCA_BPF_NAME) {
      filter.name = mnl_attr_get_str(option);
    } else if (mnl_attr_get_type(option) == TCA_BPF_ID) {
      filter.program_id = mnl_attr_get_u32(option);
    }
  };
  const nlattr* options = nullptr;
  auto read = [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case TCA_KIND:
        filter.kind = mnl_attr_get_str(attribute);
        break;
      case TCA_CHAIN:
        filter.chain = mnl_attr_get_u32(attribute);
        break;
      case TCA_OPTIONS:
        options = attribute;
        break;
      default:
        break;
    }
  };
  mnl_attr_parse(message, sizeof(*header), visit_attribute<decltype(read)>, &read);
  // The options of other kinds have other attributes.
  if (filter.kind == "bpf" && options != nullptr) {
    mnl_attr_parse_nested(options, visit_attribute<decltype(read_option)>, &read_option);
  }
  return filter;
}

// None where the device or its qdisc has gone.
Result<std::vector<Filter>> list_filters(std::uint32_t ifindex, TcDirection direction) {
  const Request request{
      .type = RTM_GETTFILTER,
      .flags = NLM_F_DUMP,
      .message = {
          .tcm_family = AF_UNSPEC,
          .tcm__pad1 = 0,
          .tcm__pad2 = 0,
          .tcm_ifindex = static_cast<int>(ifindex),
          .tcm_handle = 0,
          .tcm_parent = TC_H_MAKE(TC_H_CLSACT, direction == TcDirection::kIngress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS),
          .tcm_info = 0}};
  int error = EINTR;
  std::vector<Filter> filters;
  // EINTR is libmnl's word for NLM_F_DUMP_INTR: the list changed while it was read.
  for (int attempt = 0; attempt < kDumpAttempts && error == EINTR; attempt++) {
    filters.clear();
    error = ask(request, [&](const nlmsghdr* message) {
      if (message->nlmsg_type == RTM_NEWTFILTER) {
        filters.push_back(read_filter(message));
      }
    });
  }
  if (error != 0 && error != ENODEV) {
    return fail_errno("list the filters at " + hook_name(ifindex, direction), error);
  }
  std::erase_if(filters, [](const Filter& filter) { return filter.chain != 0; });
  return filters;
}

// The kind of the qdisc that holds a device's ingress, empty if there is none.
std::string ingress_qdisc(std::uint32_t ifindex) {
  const Request request{.type = RTM_GETQDISC,
                        .flags = NLM_F_ACK | NLM_F_ECHO,  // without ECHO only RTNLGRP_TC hears the answer
                        .message = {.tcm_family = AF_UNSPEC,
                                    .tcm__pad1 = 0,
                                    .tcm__pad2 = 0,
                                    .tcm_ifindex = static_cast<int>(ifindex),
                                    .tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0),
                                    .tcm_parent = TC_H_CLSACT,
                                    .tcm_info = 0}};
  std::string kind;
  // The kernel has two errors for "none": ENOENT, and EINVAL where there has been one.
  ask(request, [&](const nlmsghdr* message) {
    auto read = [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) == TCA_KIND) {
        kind = mnl_attr_get_str(attribute);
      }
    };
    mnl_attr_parse(message, sizeof(tcmsg), visit_attribute<decltype(read)>, &read);
  });
  return kind;
}

std::unexpected<AttachedProgram::AttachError> attach_error(std::uint32_t ifindex, Error error) {
  std::array<char, IF_NAMESIZE> name{};
  // Not by the error's number: the kernel says ENOENT for a missing module, too.
  return std::unexpected(AttachedProgram::AttachError{.device_gone = if_indextoname(ifindex, name.data()) == nullptr,
                                                      .error = std::move(error)});
}

Result<void> ensure_clsact(std::uint32_t ifindex) {
  std::string kind = ingress_qdisc(ifindex);
  if (kind.empty()) {
    bpf_tc_hook hook = hook_of(ifindex, TcDirection::kIngress);
    // Only where it is needed: libbpf would log EEXIST, and somebody may still be faster.
    if (const int error = bpf_tc_hook_create(&hook); error != 0 && error != -EEXIST) {
      return fail_errno("add a clsact qdisc to ifindex " + std::to_string(ifindex) +
                            " (does the kernel have sch_ingress, CONFIG_NET_SCH_INGRESS?)",
                        error);
    }
    kind = ingress_qdisc(ifindex);
  }
  // An "ingress" qdisc would take filters for egress too, and run them at ingress.
  if (kind != "clsact") {
    return fail("ifindex " + std::to_string(ifindex) + " has the qdisc '" + kind +
                "' where clsact belongs, and hairpind deletes nobody's: attach with TCX, or replace it by clsact");
  }
  return {};
}

struct Place {
  std::uint32_t priority;
  std::uint32_t handle;
};

// A priority belongs to one kind of filter and one protocol.
Place first_free_place(const std::vector<Filter>& filters) {
  Place place{.priority = 1, .handle = kFirstHandle};
  const auto blocked = [&](const Filter& filter) {
    return filter.priority == place.priority && (filter.kind != "bpf" || filter.protocol != htons(ETH_P_ALL));
  };
  while (std::ranges::any_of(filters, blocked)) {
    place.priority++;
  }
  const auto taken = [&](const Filter& filter) {
    return filter.priority == place.priority && filter.handle == place.handle;
  };
  while (std::ranges::any_of(filters, taken)) {
    place.handle++;
  }
  return place;
}

Result<void> detach(std::uint32_t ifindex, TcDirection direction, const Place& place) {
  const bpf_tc_hook hook = hook_of(ifindex, direction);
  bpf_tc_opts filter{};
  filter.sz = sizeof(filter);
  filter.handle = place.handle;
  filter.priority = place.priority;
  const int error = bpf_tc_detach(&hook, &filter);
  if (error != 0 && error != -ENODEV && error != -ENOENT) {
    return fail_errno("detach the filter at " + hook_name(ifindex, direction), error);
  }
  return {};
}

}  // namespace

std::expected<std::unique_ptr<ClsactFilter>, AttachedProgram::AttachError> ClsactFilter::attach(std::uint32_t ifindex,
                                                                                                TcDirection direction,
                                                                                                int program_fd) {
  if (auto ready = ensure_clsact(ifindex); !ready) {
    return attach_error(ifindex, std::move(ready.error()));
  }
  const auto filters = list_filters(ifindex, direction);
  if (!filters) {
    return attach_error(ifindex, filters.error());
  }
  const Place place = first_free_place(*filters);
  const bpf_tc_hook hook = hook_of(ifindex, direction);
  bpf_tc_opts options{};
  options.sz = sizeof(options);
  options.prog_fd = program_fd;
  options.handle = place.handle;
  options.priority = place.priority;
  if (const int error = bpf_tc_attach(&hook, &options); error != 0) {
    return attach_error(ifindex,
                        fail_errno("attach a clsact filter to " + hook_name(ifindex, direction), error).error());
  }
  std::unique_ptr<ClsactFilter> filter(new ClsactFilter(ifindex, direction));
  filter->priority_ = place.priority;
  filter->handle_ = place.handle;
  filter->program_id_ = options.prog_id;
  return filter;
}

Result<void> ClsactFilter::remove_leftovers(std::uint32_t ifindex, TcDirection direction) {
  const auto filters = list_filters(ifindex, direction);
  if (!filters) {
    return std::unexpected(filters.error());
  }
  for (const Filter& filter : *filters) {
    if (!is_ours(filter)) {
      continue;
    }
    if (auto detached = detach(ifindex, direction, {.priority = filter.priority, .handle = filter.handle}); !detached) {
      return detached;
    }
  }
  return {};
}

Result<bool> ClsactFilter::has_foreign(std::uint32_t ifindex, TcDirection direction) {
  const auto filters = list_filters(ifindex, direction);
  if (!filters) {
    return std::unexpected(filters.error());
  }
  return std::ranges::any_of(*filters, [](const Filter& filter) { return filter.handle != 0 && !is_ours(filter); });
}

ClsactFilter::~ClsactFilter() {
  const auto filters = list_filters(ifindex_, direction_);
  // Its place may be somebody else's by now.
  const bool there =
      filters && std::ranges::any_of(*filters, [&](const Filter& filter) {
        return filter.priority == priority_ && filter.handle == handle_ && filter.program_id == program_id_;
      });
  if (there) {
    // What cannot be taken off now, the next start takes off.
    [[maybe_unused]] const auto detached = detach(ifindex_, direction_, {.priority = priority_, .handle = handle_});
  }
}

Result<bool> ClsactFilter::first_in_line() const {
  const auto filters = list_filters(ifindex_, direction_);
  if (!filters) {
    return std::unexpected(filters.error());
  }
  // The kernel lists them as it runs them: the newest first.
  const auto first = std::ranges::find_if(
      *filters, [&](const Filter& filter) { return filter.priority == priority_ && filter.handle != 0; });
  return first != filters->end() && is_ours(*first);
}

}  // namespace hairpind
