// SPDX-License-Identifier: Apache-2.0
// Puts the lab's BPF datapath (redirect.bpf.c) into a namespace and tells it where pods and services are. Everything
// is pinned in DIR, on a bpffs, so that lab.sh can call this again and again. Run inside the node's namespace.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/address.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "redirect_abi.h"

namespace {

using hairpind::FileDescriptor;
using Arguments = std::span<const std::string>;

// uapi/linux/bpf.h of 6.6; Debian 12's headers are older.
constexpr int kBpfTcxIngress = 46;
constexpr int kBpfTcxEgress = 47;
// And of 6.7.
constexpr int kBpfNetkitPeer = 55;

[[noreturn]] void give_up(const std::string& what, int error) {
  throw std::runtime_error(what + ": " + std::strerror(std::abs(error)));
}

void check(int error, const std::string& what) {
  if (error != 0) {
    give_up(what, error);
  }
}

FileDescriptor open_pin(const std::string& path) {
  FileDescriptor fd(bpf_obj_get(path.c_str()));
  if (fd.get() < 0) {
    give_up("open " + path, errno);
  }
  return fd;
}

std::uint32_t ifindex_of(const std::string& device) {
  const std::uint32_t ifindex = if_nametoindex(device.c_str());
  if (ifindex == 0) {
    give_up("find device " + device, errno);
  }
  return ifindex;
}

rd_endpoint endpoint(const std::string& address, const std::string& port) {
  const auto parsed = hairpind::IpAddress::parse(address);
  if (!parsed) {
    throw std::runtime_error("not an address: " + address);
  }
  const hairpind::Endpoint value{.address = *parsed, .port = static_cast<std::uint16_t>(std::stoi(port))};
  const hp_endpoint abi = value.to_abi();
  rd_endpoint result{};
  static_assert(sizeof(result) == sizeof(abi));
  std::memcpy(&result, &abi, sizeof(result));
  return result;
}

void update(const std::string& map, const void* key, const void* value) {
  check(bpf_map_update_elem(open_pin(map).get(), key, value, BPF_ANY), "update " + map);
}

void clear(const std::string& map, std::size_t key_size) {
  const FileDescriptor fd = open_pin(map);
  std::vector<std::byte> key(key_size);
  while (bpf_map_get_next_key(fd.get(), nullptr, key.data()) == 0) {
    check(bpf_map_delete_elem(fd.get(), key.data()), "clear " + map);
  }
}

bool is_egress(const std::string& direction) {
  return direction == "egress";
}

int link_type(const std::string& direction) {
  if (direction == "peer") {
    return kBpfNetkitPeer;
  }
  return is_egress(direction) ? kBpfTcxEgress : kBpfTcxIngress;
}

bpf_tc_hook hook_of(const std::string& device, const std::string& direction) {
  bpf_tc_hook hook{};
  hook.sz = sizeof(hook);
  hook.ifindex = static_cast<int>(ifindex_of(device));
  hook.attach_point = is_egress(direction) ? BPF_TC_EGRESS : BPF_TC_INGRESS;
  return hook;
}

std::string link_pin(const std::string& directory, const std::string& device, const std::string& direction) {
  return directory + "/link-" + device + "-" + direction;
}

bpf_tc_opts first_filter() {
  bpf_tc_opts filter{};
  filter.sz = sizeof(filter);
  filter.handle = 1;
  filter.priority = 1;
  return filter;
}

// load OBJECT
void load(const std::string& directory, Arguments arguments) {
  const std::unique_ptr<bpf_object, decltype(&bpf_object__close)> object(
      bpf_object__open_file(arguments[0].c_str(), nullptr), &bpf_object__close);
  if (!object) {
    give_up("open " + arguments[0], errno);
  }
  check(bpf_object__load(object.get()), "load " + arguments[0]);
  check(bpf_object__pin_programs(object.get(), directory.c_str()), "pin programs");
  check(bpf_object__pin_maps(object.get(), directory.c_str()), "pin maps");
}

// attach clsact|tcx PROGRAM DEVICE ingress|egress|peer: a filter of prio 1, or a link at the tail of the list, as
// Cilium does. Peer: of a netkit device, a link where the pod sends.
void attach(const std::string& directory, Arguments arguments) {
  const auto program = open_pin(directory + "/" + arguments[1]);
  const std::string what = "attach " + arguments[1] + " to " + arguments[2];
  if (arguments[0] == "tcx") {
    // NOLINTNEXTLINE(clang-analyzer-optin.core.EnumCastOutOfRange): newer than this libbpf's enum
    const FileDescriptor link(bpf_link_create(program.get(), static_cast<int>(ifindex_of(arguments[2])),
                                              static_cast<bpf_attach_type>(link_type(arguments[3])), nullptr));
    check(std::min(link.get(), 0), what);
    check(bpf_obj_pin(link.get(), link_pin(directory, arguments[2], arguments[3]).c_str()), what);
    return;
  }
  bpf_tc_hook hook = hook_of(arguments[2], arguments[3]);
  bpf_tc_opts filter = first_filter();
  filter.prog_fd = program.get();
  if (const int error = bpf_tc_hook_create(&hook); error != -EEXIST) {
    check(error, what);
  }
  check(bpf_tc_attach(&hook, &filter), what);
}

// detach DEVICE ingress|egress|peer
void detach(const std::string& directory, Arguments arguments) {
  if (unlink(link_pin(directory, arguments[0], arguments[1]).c_str()) == 0) {
    return;
  }
  const bpf_tc_hook hook = hook_of(arguments[0], arguments[1]);
  const bpf_tc_opts filter = first_filter();
  check(bpf_tc_detach(&hook, &filter), "detach from " + arguments[0]);
}

// pod ADDRESS DEVICE MAC
void add_pod(const std::string& directory, Arguments arguments) {
  const rd_endpoint key = endpoint(arguments[0], "0");
  rd_pod pod{.ifindex = ifindex_of(arguments[1]), .mac = {}, .pad = {}};
  std::array<unsigned int, 6> mac{};
  if (std::sscanf(arguments[2].c_str(), "%x:%x:%x:%x:%x:%x", mac.data(), &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) !=
      6) {
    throw std::runtime_error("not a MAC address: " + arguments[2]);
  }
  std::ranges::copy(mac, std::begin(pod.mac));
  update(directory + "/pods", &key, &pod);
}

// service pod|net ADDRESS PORT BACKEND PORT
void add_service(const std::string& directory, Arguments arguments) {
  const rd_service key{.frontend = endpoint(arguments[1], arguments[2]),
                       .side = arguments[0] == "pod" ? RD_FROM_POD : RD_FROM_NET};
  const rd_endpoint backend = endpoint(arguments[3], arguments[4]);
  update(directory + "/services", &key, &backend);
}

void change_settings(const std::string& directory, const std::function<void(rd_settings&)>& change) {
  const std::uint32_t zero = 0;
  rd_settings value{};
  check(bpf_map_lookup_elem(open_pin(directory + "/settings").get(), &zero, &value), "read the settings");
  change(value);
  update(directory + "/settings", &zero, &value);
}

// kind ENDPOINT-ROUTES CHECK-SOURCES NETKIT NODE-V4 NODE-V6: 0 or 1 each, and what to masquerade as
void set_kind(const std::string& directory, Arguments arguments) {
  change_settings(directory, [&](rd_settings& value) {
    value.endpoint_routes = static_cast<__u32>(std::stoi(arguments[0]));
    value.check_sources = static_cast<__u32>(std::stoi(arguments[1]));
    value.netkit = static_cast<__u32>(std::stoi(arguments[2]));
    for (std::size_t family = 0; family < 2; family++) {
      const rd_endpoint node = endpoint(arguments[3 + family], "0");
      std::memcpy(std::span(value.node)[family], node.address, sizeof(node.address));
    }
  });
}

// settings DROP-UNMATCHED ROUTED-DEVICE: 0 or 1; a device or -
void set(const std::string& directory, Arguments arguments) {
  change_settings(directory, [&](rd_settings& value) {
    value.drop_unmatched = static_cast<__u32>(std::stoi(arguments[0]));
    value.routed_device = arguments[1] == "-" ? 0 : ifindex_of(arguments[1]);
  });
}

// reset: no service, no connection, no policy.
void reset(const std::string& directory, Arguments /*arguments*/) {
  clear(directory + "/services", sizeof(rd_service));
  clear(directory + "/connections", sizeof(rd_connection_key));
  clear(directory + "/masqueraded", sizeof(rd_masqueraded_key));
  const std::array<std::string, 2> off{"0", "-"};
  set(directory, off);
}

struct Command {
  std::size_t arguments;
  std::function<void(const std::string&, Arguments)> run;
};

const std::map<std::string_view, Command> kCommands{
    {"load", {1, load}},   {"kind", {5, set_kind}}, {"attach", {4, attach}},       {"detach", {2, detach}},
    {"pod", {3, add_pod}}, {"reset", {0, reset}},   {"service", {5, add_service}}, {"settings", {2, set}},
};

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const auto command = arguments.size() < 2 ? kCommands.end() : kCommands.find(arguments[0]);
  if (command == kCommands.end() || arguments.size() != command->second.arguments + 2) {
    std::fprintf(stderr, "usage: %s COMMAND DIR ARGUMENT..., as in lab.sh\n", argv[0]);
    return 2;
  }
  // Its warnings are of no use: what fails is said below.
  libbpf_set_print(nullptr);
  try {
    command->second.run(arguments[1], std::span(arguments).subspan(2));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "redirect_datapath %s: %s\n", arguments[0].c_str(), error.what());
    return 1;
  }
  return 0;
}
