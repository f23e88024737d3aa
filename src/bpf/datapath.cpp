// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/datapath.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "handshake.skel.h"
#include "object_loader.hpp"

namespace hairpind {
namespace {

constexpr std::size_t kListedUncalled = 256;
struct HookPlace {
  Hook hook;
  TcDirection direction;
};

// From the pod's or the network's side, "from" is what the device receives.
constexpr std::array<HookPlace, 2> hooks_of(DeviceRole role) {
  if (role == DeviceRole::kPod) {
    return {{{Hook::kFromPod, TcDirection::kIngress}, {Hook::kToPod, TcDirection::kEgress}}};
  }
  return {{{Hook::kFromNet, TcDirection::kIngress}, {Hook::kToNet, TcDirection::kEgress}}};
}

hp_prefix_key prefix_key(const Frontend& frontend) {
  return {.prefix_length = frontend.prefix_length, .address = frontend.address.to_abi()};
}

hp_endpoint endpoint_key(const IpAddress& address, std::uint16_t port) {
  return Endpoint{.address = address, .port = port}.to_abi();
}

std::uint32_t filter_bit(const Frontend& frontend) {
  const hp_address address = frontend.address.to_abi();
  return hp_address_filter_bit(&address);
}

hp_incident_key incident_key(const IncidentKey& key) {
  return {.client = key.client.to_abi(),
          .lb = key.load_balancer.to_abi(),
          .responder = key.responder.to_abi(),
          .cause = static_cast<std::uint8_t>(key.cause),
          .pad = {}};
}

Result<void> update(const bpf_map* map, const void* key, const void* value, const std::string& what) {
  if (const int error = bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY); error != 0) {
    return fail_errno("add " + what + " to the BPF map '" + bpf_map__name(map) + "'", error);
  }
  return {};
}

// What the program writes to its argument is copied back.
template <typename Argument>
Result<void> run_syscall_program(const bpf_program* program, Argument& argument) {
  bpf_test_run_opts options{};
  options.sz = sizeof(options);
  options.ctx_in = &argument;
  options.ctx_size_in = sizeof(argument);
  if (const int error = bpf_prog_test_run_opts(bpf_program__fd(program), &options); error != 0) {
    return fail_errno("run the BPF program '" + std::string(bpf_program__name(program)) + "'", error);
  }
  return {};
}

// Batches where the kernel has them for this map type (hash maps: 5.6), a bounded number of calls always: a map
// that changes while it is read cannot keep the reader busy for ever.
template <typename Key, typename Value, typename Visit>
Result<void> for_each(const bpf_map* map, Visit visit) {
  constexpr std::uint32_t kBatch = 256;
  std::vector<Key> keys(kBatch);
  std::vector<Value> values(kBatch);
  const std::uint32_t limit = 4 * bpf_map__max_entries(map) + kBatch;
  std::array<std::byte, sizeof(Key) < 8 ? 8 : sizeof(Key)> token{};
  bool first = true;
  std::uint32_t batch = kBatch;
  for (std::uint32_t seen = 0; seen < limit;) {
    std::uint32_t count = batch;
    const int error = bpf_map_lookup_batch(bpf_map__fd(map), first ? nullptr : token.data(), token.data(), keys.data(),
                                           values.data(), &count, nullptr);
    if (error == -ENOSPC) {
      // One bucket holds more than the batch.
      batch *= 2;
      keys.resize(batch);
      values.resize(batch);
      continue;
    }
    if (error != 0 && error != -ENOENT) {
      return fail_errno("read the BPF map '" + std::string(bpf_map__name(map)) + "'", error);
    }
    for (std::uint32_t i = 0; i < count; i++) {
      visit(keys[i], values[i]);
    }
    if (error == -ENOENT) {
      break;
    }
    seen += std::max<std::uint32_t>(count, 1);
    first = false;
  }
  return {};
}

}  // namespace

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::kFromPod:
      return "from_pod";
    case Hook::kToPod:
      return "to_pod";
    case Hook::kFromNet:
      return "from_net";
    case Hook::kToNet:
      break;
  }
  return "to_net";
}

void Datapath::RingDeleter::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

Datapath::Datapath(LoadedObject object, AttachMode attach_mode)
    : skeleton_(std::move(object.skeleton)), outcome_(std::move(object.outcome)), attach_mode_(attach_mode) {}

Datapath::~Datapath() = default;

Result<std::unique_ptr<Datapath>> Datapath::load(const Options& options, const KernelFeatures& features) {
  auto object = load_object(options, features);
  if (!object) {
    return std::unexpected(object.error());
  }
  std::unique_ptr<Datapath> datapath(new Datapath(*std::move(object), options.attach_mode));
  datapath->ring_.reset(
      ring_buffer__new(bpf_map__fd(datapath->skeleton_->maps.events), on_record, datapath.get(), nullptr));
  if (!datapath->ring_) {
    return fail_errno("map the ring buffer", errno);
  }
  return datapath;
}

std::vector<ProgramCost> Datapath::program_costs() const {
  std::vector<ProgramCost> costs;
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton_->obj, program)) != nullptr) {
    bpf_prog_info info{};
    __u32 size = sizeof(info);
    if (bpf_program__autoload(program) && bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) == 0 &&
        info.verified_insns != 0) {
      costs.push_back({.name = bpf_program__name(program),
                       .verified_instructions = info.verified_insns,
                       .bytes = info.xlated_prog_len});
    }
  }
  return costs;
}

int Datapath::program_fd(Hook hook) const {
  switch (hook) {
    case Hook::kFromPod:
      return bpf_program__fd(skeleton_->progs.from_pod);
    case Hook::kToPod:
      return bpf_program__fd(skeleton_->progs.to_pod);
    case Hook::kFromNet:
      return bpf_program__fd(skeleton_->progs.from_net);
    case Hook::kToNet:
      break;
  }
  return bpf_program__fd(skeleton_->progs.to_net);
}

Result<bool> Datapath::attach(const Device& device) {
  const auto known = devices_.find(device.ifindex);
  if (known != devices_.end() && known->second == device) {
    return true;
  }
  const bool same_role = known != devices_.end() && known->second.role == device.role;
  if (known != devices_.end() && !same_role) {
    detach(device.ifindex);
  }
  // Known to the kernel side first: a program that runs must find its own device.
  const hp_device value{.role = static_cast<std::uint32_t>(device.role), .master_ifindex = device.master_ifindex};
  if (auto added =
          update(skeleton_->maps.devices, &device.ifindex, &value, "ifindex " + std::to_string(device.ifindex));
      !added) {
    return std::unexpected(added.error());
  }
  if (!same_role) {
    std::vector<TcLink> links;
    for (const HookPlace& place : hooks_of(device.role)) {
      auto link = TcLink::attach(attach_mode_, device.ifindex, place.direction, program_fd(place.hook));
      if (!link) {
        bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.devices), &device.ifindex);
        if (link.error().device_gone) {
          return false;
        }
        return fail("hook " + std::string(to_string(place.hook)) + ": " + link.error().error.message);
      }
      links.push_back(std::move(*link));
    }
    links_.emplace(device.ifindex, std::array<TcLink, 2>{std::move(links[0]), std::move(links[1])});
  }
  devices_.insert_or_assign(device.ifindex, device);
  return true;
}

void Datapath::detach(std::uint32_t ifindex) {
  links_.erase(ifindex);
  if (devices_.erase(ifindex) != 0) {
    bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.devices), &ifindex);
  }
}

Result<bool> Datapath::first_in_line(std::uint32_t ifindex) const {
  for (const TcLink& link : links_.at(ifindex)) {
    if (auto first = link.first_in_line(); !first || !*first) {
      return first;
    }
  }
  return true;
}

Result<void> Datapath::set_frontends(const std::set<Frontend>& frontends) {
  std::vector<Frontend> added;
  std::vector<Frontend> removed;
  std::ranges::set_difference(frontends, frontends_, std::back_inserter(added));
  std::ranges::set_difference(frontends_, frontends, std::back_inserter(removed));
  return change_frontends(added, removed);
}

Result<void> Datapath::change_frontends(const std::vector<Frontend>& added, const std::vector<Frontend>& removed) {
  std::vector<Frontend> come;
  std::vector<Frontend> gone;
  std::ranges::copy_if(added, std::back_inserter(come),
                       [&](const auto& each) { return frontends_.insert(each).second; });
  std::ranges::copy_if(removed, std::back_inserter(gone),
                       [&](const auto& each) { return frontends_.erase(each) != 0; });

  const std::span filter(skeleton_->bss->frontend_filter);
  for (const Frontend& frontend : come) {
    const std::uint32_t bit = filter_bit(frontend);
    filter_uses_.at(bit)++;
    filter[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  const auto written = write_frontends(come, gone);
  if (!written) {
    std::ranges::for_each(come, [&](const auto& each) { frontends_.erase(each); });
    frontends_.insert(gone.begin(), gone.end());
  }
  for (const Frontend& frontend : written ? gone : come) {
    const std::uint32_t bit = filter_bit(frontend);
    if (--filter_uses_.at(bit) == 0) {
      filter[bit / 64] &= ~(std::uint64_t{1} << (bit % 64));
    }
  }
  return written;
}

Result<void> Datapath::write_frontends(const std::vector<Frontend>& added, const std::vector<Frontend>& removed) const {
  constexpr std::uint32_t kPresent = 1;
  std::set<IpAddress> touched;
  for (const Frontend& frontend : added) {
    if (frontend.is_prefix()) {
      const hp_prefix_key key = prefix_key(frontend);
      if (auto done = update(skeleton_->maps.frontend_prefixes, &key, &kPresent, frontend.to_string()); !done) {
        return done;
      }
      continue;
    }
    touched.insert(frontend.address);
    if (frontend.port == 0) {
      continue;
    }
    const hp_endpoint key = endpoint_key(frontend.address, frontend.port);
    const hp_frontend value{.any_port = 0, .counters = 0};
    if (auto done = update(skeleton_->maps.frontends, &key, &value, frontend.to_string()); !done) {
      return done;
    }
  }
  for (const Frontend& old : removed) {
    if (!old.is_prefix()) {
      touched.insert(old.address);
    }
  }
  // The address's own entry, which says whether its other ports count: after its ports have come, before they go.
  for (const IpAddress& address : touched) {
    const hp_endpoint key = endpoint_key(address, 0);
    const auto first = frontends_.lower_bound(Frontend{.address = address});
    if (first == frontends_.end() || first->address != address) {
      bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.frontends), &key);
      continue;
    }
    const hp_frontend value{.any_port = first->port == 0 ? 1U : 0U, .counters = 0};
    if (auto done = update(skeleton_->maps.frontends, &key, &value, first->to_string()); !done) {
      return done;
    }
  }
  for (const Frontend& old : removed) {
    if (old.is_prefix()) {
      const hp_prefix_key key = prefix_key(old);
      bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.frontend_prefixes), &key);
    } else if (old.port != 0) {
      const hp_endpoint key = endpoint_key(old.address, old.port);
      bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.frontends), &key);
    }
  }
  return {};
}

Result<void> Datapath::set_node_addresses(const std::set<IpAddress>& addresses) {
  constexpr std::uint32_t kPresent = 1;
  for (const IpAddress& address : addresses) {
    if (node_addresses_.contains(address)) {
      continue;
    }
    const hp_address key = address.to_abi();
    if (auto added = update(skeleton_->maps.node_addresses, &key, &kPresent, address.to_string()); !added) {
      return added;
    }
    node_addresses_.insert(address);
  }
  std::erase_if(node_addresses_, [&](const IpAddress& old) {
    if (addresses.contains(old)) {
      return false;
    }
    const hp_address key = old.to_abi();
    bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.node_addresses), &key);
    return true;
  });
  return {};
}

int Datapath::event_fd() const {
  return ring_buffer__epoll_fd(ring_.get());
}

int Datapath::on_record(void* context, void* data, std::size_t size) {
  const auto* const self = static_cast<Datapath*>(context);
  (*self->handler_)({static_cast<const std::byte*>(data), size});
  return 0;
}

Result<void> Datapath::poll(const RecordHandler& handler) {
  handler_ = &handler;
  const int consumed = ring_buffer__consume(ring_.get());
  handler_ = nullptr;
  if (consumed < 0) {
    return fail_errno("read the ring buffer", consumed);
  }
  return {};
}

Result<std::uint64_t> Datapath::sweep(MonotonicTime now) {
  if (!bpf_program__autoload(skeleton_->progs.sweep)) {
    return 0;
  }
  // Walking the empty table of an idle node is most of what the agent would cost there.
  const std::uint32_t changed = skeleton_->bss->attempts_changed;
  const bool nothing_new = changed == swept_changed_;
  if (nothing_new && swept_clean_) {
    return 0;
  }
  hp_sweep argument{.now_ns = static_cast<__u64>(now.count()), .undecided = 0, .kept = 0};
  if (auto ran = run_syscall_program(skeleton_->progs.sweep, argument); !ran) {
    return std::unexpected(ran.error());
  }
  // A place is taken a moment before its attempt is found: what a sweep has just missed is there at the next.
  swept_changed_ = changed;
  swept_clean_ = nothing_new && argument.kept == 0;
  return argument.undecided;
}

void Datapath::set_ask_conntrack(bool ask) {
  skeleton_->bss->ask_conntrack = ask ? 1 : 0;
}

Result<void> Datapath::set_conntrack(const Attempt& asked, const ConntrackAnswer& answer) const {
  const hp_endpoint client = asked.client.to_abi();
  hp_conntrack_answer argument{.key = {.client = client.address, .isn = asked.isn, .port = client.port, .pad = 0},
                               .responder = asked.synack_left.to_abi(),
                               .conntrack = static_cast<std::uint8_t>(answer.conntrack),
                               .conntrack_source = static_cast<std::uint8_t>(answer.source),
                               .pad = {}};
  return run_syscall_program(skeleton_->progs.set_conntrack, argument);
}

Result<std::vector<LoadBalancerCounters>> Datapath::read_load_balancers() const {
  std::vector<LoadBalancerCounters> result;
  std::set<Endpoint> counted;
  const std::uint32_t used = std::min<std::uint32_t>(skeleton_->bss->load_balancer_count + 1, HP_LB_COUNTERS);
  for (std::uint32_t index = 0; index < used; index++) {
    hp_lb_counters counters{};
    if (const int error = bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.load_balancers), &index, &counters);
        error != 0) {
      return fail_errno("read the BPF map 'load_balancers'", error);
    }
    const Endpoint load_balancer = Endpoint::from_abi(counters.lb);
    // The first collects what does not fit; another without a name is about to get one, or never will.
    if (index == 0 || !load_balancer.empty()) {
      counted.insert(load_balancer);
      result.push_back({.load_balancer = load_balancer, .counters = counters});
    }
  }
  // Prometheus cannot see the first step of a counter that was not there before. Not at the price of a page full of
  // load balancers that nobody here uses.
  if (frontends_.size() <= kListedUncalled) {
    for (const Frontend& frontend : frontends_) {
      const Endpoint load_balancer{.address = frontend.address, .port = frontend.port};
      if (!frontend.is_prefix() && frontend.port != 0 && !counted.contains(load_balancer)) {
        result.push_back({.load_balancer = load_balancer, .counters = {}});
      }
    }
  }
  return result;
}

Result<std::vector<IncidentCount>> Datapath::read_incidents() const {
  std::vector<IncidentCount> result;
  auto read = for_each<hp_incident_key, hp_incident>(
      skeleton_->maps.incidents, [&](const hp_incident_key& key, const hp_incident& incident) {
        auto sample = Attempt::from_abi(incident.sample);
        // A cause this build does not know cannot come from its own object. A new incident is counted a moment before
        // its first example is written: it is there at the next look.
        if (!sample || sample->load_balancer.empty() || key.cause >= HP_CAUSE_COUNT) {
          return;
        }
        result.push_back({.key = {.client = IpAddress::from_abi(key.client),
                                  .load_balancer = Endpoint::from_abi(key.lb),
                                  .responder = Endpoint::from_abi(key.responder),
                                  .cause = static_cast<Cause>(key.cause)},
                          .count = incident.count,
                          .last_event = MonotonicTime(static_cast<std::int64_t>(incident.last_event_ns)),
                          .sample = *std::move(sample)});
      });
  if (!read) {
    return std::unexpected(read.error());
  }
  return result;
}

Result<std::vector<Caller>> Datapath::read_callers() const {
  std::vector<Caller> result;
  auto read = for_each<hp_caller_key, std::uint64_t>(
      skeleton_->maps.callers, [&](const hp_caller_key& key, const std::uint64_t& last) {
        result.push_back({.client = IpAddress::from_abi(key.client),
                          .load_balancer = Endpoint::from_abi(key.lb),
                          .last = MonotonicTime(static_cast<std::int64_t>(last))});
      });
  if (!read) {
    return std::unexpected(read.error());
  }
  return result;
}

std::optional<std::uint64_t> Datapath::read_incident_count(const IncidentKey& key) const {
  const hp_incident_key raw = incident_key(key);
  hp_incident incident{};
  if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.incidents), &raw, &incident) != 0) {
    return std::nullopt;
  }
  return incident.count;
}

void Datapath::forget_incident(const IncidentKey& key) const {
  const hp_incident_key raw = incident_key(key);
  bpf_map_delete_elem(bpf_map__fd(skeleton_->maps.incidents), &raw);
}

std::array<std::uint64_t, HP_TOTAL_COUNT> Datapath::read_totals() const {
  std::array<std::uint64_t, HP_TOTAL_COUNT> totals{};
  std::vector<std::uint64_t> per_cpu(static_cast<std::size_t>(std::max(libbpf_num_possible_cpus(), 1)));
  for (std::uint32_t index = 0; index < totals.size(); index++) {
    if (bpf_map_lookup_elem(bpf_map__fd(skeleton_->maps.totals), &index, per_cpu.data()) != 0) {
      continue;
    }
    for (const std::uint64_t value : per_cpu) {
      totals.at(index) += value;
    }
  }
  return totals;
}

}  // namespace hairpind
