// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/kernel_side.hpp"

#include <malloc.h>

#include <utility>

namespace hairpind {
namespace {

KernelMap map_of(const Datapath& datapath, const char* name) {
  return {datapath.map_fd(name), name};
}

class Linked final : public TcAttachment {
 public:
  explicit Linked(AttachedProgram link) : link_(std::move(link)) {}
  [[nodiscard]] Result<bool> first_in_line() const override { return link_.first_in_line(); }
  [[nodiscard]] bool may_be_followed(bool look_at_filters) override { return link_.may_be_followed(look_at_filters); }
  [[nodiscard]] bool is_preceded() const override { return link_.is_preceded(); }

 private:
  AttachedProgram link_;
};

TcAttachResult attach(AttachMode mode, std::uint32_t ifindex, TcDirection direction, int program_fd) {
  auto link = AttachedProgram::attach(mode, ifindex, direction, program_fd);
  if (!link) {
    return std::unexpected(std::move(link.error()));
  }
  return std::make_unique<Linked>(*std::move(link));
}

}  // namespace

KernelSide::KernelSide(KernelFeatures features_found, AttachMode mode, std::unique_ptr<Datapath> loaded)
    : features(std::move(features_found)),
      attach_mode(mode),
      datapath(std::move(loaded)),
      frontends_map(map_of(*datapath, "frontends")),
      prefixes_map(map_of(*datapath, "frontend_prefixes")),
      devices_map(map_of(*datapath, "devices")),
      node_addresses_map(map_of(*datapath, "node_addresses")),
      owners_map(map_of(*datapath, "owners")),
      frontends({.frontends = frontends_map, .prefixes = prefixes_map, .filter = datapath->frontend_filter()}),
      attachments(
          {.attach = [this](std::uint32_t ifindex, TcDirection direction,
                            Hook hook) { return attach(attach_mode, ifindex, direction, datapath->program_fd(hook)); },
           .remove_leftovers = [](std::uint32_t ifindex) { return AttachedProgram::remove_leftovers(ifindex); },
           .devices = devices_map,
           .node_addresses = node_addresses_map}),
      owners(owners_map) {}

Result<std::unique_ptr<KernelSide>> KernelSide::load(const Datapath::Options& options, AttachMode mode,
                                                     KernelFeatures features, bool ask_conntrack) {
  auto datapath = Datapath::load(options, ask_conntrack ? features : features.without(Feature::kConntrackKfunc));
  if (!datapath) {
    return std::unexpected(datapath.error());
  }
  auto counters = (*datapath)->open_counters();
  if (!counters) {
    return std::unexpected(counters.error());
  }
  auto side = std::make_unique<KernelSide>(std::move(features), mode, *std::move(datapath));
  side->counters = std::make_shared<const CounterReader>(*std::move(counters));
  // The kernel's type information, megabytes of it, was parsed to load; give the memory back.
  malloc_trim(0);
  return side;
}

}  // namespace hairpind
