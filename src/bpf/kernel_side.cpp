// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/kernel_side.hpp"

#include <malloc.h>

#include <utility>

namespace hairpind {
namespace {

KernelMap map_of(const Programs& programs, const char* name) {
  return {programs.map_fd(name), name};
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

KernelSide::KernelSide(KernelFeatures features_found, AttachMode mode, std::unique_ptr<Programs> loaded,
                       EventRing opened, std::chrono::nanoseconds handshake_timeout)
    : features(std::move(features_found)),
      attach_mode(mode),
      programs(std::move(loaded)),
      variables(*programs),
      settler(AttemptSettler::kernel_of(*programs)),
      ring(std::move(opened)),
      frontends_map(map_of(*programs, "frontends")),
      prefixes_map(map_of(*programs, "frontend_prefixes")),
      devices_map(map_of(*programs, "devices")),
      node_addresses_map(map_of(*programs, "node_addresses")),
      owners_map(map_of(*programs, "owners")),
      captures_map(map_of(*programs, "captures")),
      frontends({.frontends = frontends_map, .prefixes = prefixes_map, .filter = variables.frontend_filter()}),
      attachments({.attach = [this](std::uint32_t ifindex, TcDirection direction,
                                    Hook hook) { return attach(attach_mode, ifindex, direction, programs->fd(hook)); },
                   .remove_leftovers = [](std::uint32_t ifindex) { return AttachedProgram::remove_leftovers(ifindex); },
                   .devices = devices_map,
                   .node_addresses = node_addresses_map}),
      owners(owners_map),
      captures({.captures = captures_map,
                .set_armed = [this](std::uint32_t entries) { variables.set_captures_armed(entries); }}),
      incidents(programs->map_fd("incidents"), variables.accounts()),
      rows(*programs, variables.accounts(), handshake_timeout) {}

Result<std::unique_ptr<KernelSide>> KernelSide::load(const Programs::Options& options, AttachMode mode,
                                                     KernelFeatures features, bool ask_conntrack) {
  auto programs = Programs::load(options, ask_conntrack ? features : features.without(Feature::kConntrackKfunc));
  if (!programs) {
    return std::unexpected(programs.error());
  }
  auto ring = EventRing::open((*programs)->map_fd("events"));
  if (!ring) {
    return std::unexpected(ring.error());
  }
  auto counters = CounterReader::open((*programs)->counter_maps());
  if (!counters) {
    return std::unexpected(counters.error());
  }
  auto side = std::make_unique<KernelSide>(std::move(features), mode, *std::move(programs), *std::move(ring),
                                           options.handshake_timeout);
  side->counters = std::make_shared<const CounterReader>(*std::move(counters));
  // The kernel's type information, megabytes of it, was parsed to load; give the memory back.
  malloc_trim(0);
  return side;
}

}  // namespace hairpind
