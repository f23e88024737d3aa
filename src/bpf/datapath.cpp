// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/datapath.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "handshake.skel.h"
#include "object_loader.hpp"

namespace hairpind {
namespace {

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

}  // namespace

void Datapath::RingDeleter::operator()(ring_buffer* ring) const {
  ring_buffer__free(ring);
}

Datapath::Datapath(LoadedObject object) : skeleton_(std::move(object.skeleton)), outcome_(std::move(object.outcome)) {}

Datapath::~Datapath() = default;

Result<std::unique_ptr<Datapath>> Datapath::load(const Options& options, const KernelFeatures& features) {
  auto object = load_object(options, features);
  if (!object) {
    return std::unexpected(object.error());
  }
  std::unique_ptr<Datapath> datapath(new Datapath(*std::move(object)));
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

KernelMemory Datapath::kernel_memory() const {
  KernelMemory memory;
  bpf_map* map = nullptr;
  while ((map = bpf_object__next_map(skeleton_->obj, map)) != nullptr) {
    memory.now += map_memory(bpf_map__fd(map));
    if ((bpf_map__map_flags(map) & BPF_F_NO_PREALLOC) != 0) {
      memory.full += bpf_map__max_entries(map) * map_element_memory(bpf_map__key_size(map), bpf_map__value_size(map));
    }
  }
  memory.full += memory.now;
  return memory;
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

int Datapath::map_fd(std::string_view name) const {
  return bpf_object__find_map_fd_by_name(skeleton_->obj, std::string(name).c_str());
}

std::span<__u64> Datapath::frontend_filter() const {
  return skeleton_->bss->frontend_filter;
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

void Datapath::set_beside_cilium(bool beside) {
  skeleton_->bss->beside_cilium = beside ? 1 : 0;
}

void Datapath::set_answers_may_change(bool may) {
  skeleton_->bss->answers_may_change = may ? 1 : 0;
}

bool Datapath::seen(std::uint32_t ifindex) const {
  return std::span(skeleton_->bss->seen_devices)[ifindex % HP_SEEN_DEVICES] != 0;
}

std::uint32_t Datapath::spoofing_device() const {
  return skeleton_->bss->spoofing_device;
}

std::uint32_t Datapath::crowding_device() const {
  return skeleton_->bss->crowding_device;
}

Datapath::Accounts Datapath::accounts() const {
  return {.each = skeleton_->bss->accounts,
          .incidents = &skeleton_->bss->incident_count,
          .unlisted_rows = &skeleton_->bss->unlisted_rows,
          .highest_row = &skeleton_->bss->load_balancer_count};
}

Result<void> Datapath::set_conntrack(const Attempt& asked, const ConntrackAnswer& answer) const {
  const hp_endpoint client = asked.client.to_abi();
  hp_conntrack_answer argument{.key = {.client = client.address, .isn = asked.isn, .port = client.port, .pad = 0},
                               .responder = ConntrackQuery::of(asked).responder.to_abi(),
                               .conntrack = static_cast<std::uint8_t>(answer.conntrack),
                               .conntrack_source = static_cast<std::uint8_t>(answer.source),
                               .pad = {}};
  return run_syscall_program(skeleton_->progs.set_conntrack, argument);
}

Result<CounterReader> Datapath::open_counters() const {
  const auto offset = reinterpret_cast<const char*>(&skeleton_->bss->load_balancer_count) -
                      reinterpret_cast<const char*>(skeleton_->bss);
  return CounterReader::open({.totals = bpf_map__fd(skeleton_->maps.totals),
                              .load_balancers = bpf_map__fd(skeleton_->maps.load_balancers),
                              .incidents = bpf_map__fd(skeleton_->maps.incidents),
                              .callers = bpf_map__fd(skeleton_->maps.callers),
                              .bss = bpf_map__fd(skeleton_->maps.bss),
                              .load_balancer_count_offset = static_cast<std::size_t>(offset)});
}

void Datapath::forget_incident(const IncidentKey& key) const {
  const hp_incident_key raw = key.to_abi();
  const int incidents = bpf_map__fd(skeleton_->maps.incidents);
  hp_incident incident{};
  if (bpf_map_lookup_elem(incidents, &raw, &incident) != 0 || bpf_map_delete_elem(incidents, &raw) != 0) {
    return;
  }
  const Accounts shared = accounts();
  std::atomic_ref(shared.each[incident.account % HP_ACCOUNTS].incidents)--;
  std::atomic_ref(*shared.incidents)--;
}

}  // namespace hairpind
