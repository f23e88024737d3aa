// SPDX-License-Identifier: Apache-2.0
#include "object_loader.hpp"

#include <bpf/libbpf.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <random>
#include <string>

#include "hairpind/bpf/kernel_memory.hpp"
#include "handshake.skel.h"
#include "handshake_without_kfunc.skel.h"
#include "libbpf_log.hpp"

namespace hairpind {
namespace {

using Skeleton = std::unique_ptr<handshake_bpf, SkeletonDeleter>;

// Half of the index's words are free when every place is taken, so that hardly any set overflows.
constexpr std::uint32_t kAttemptsPerSet = HP_INDEX_WAYS / 2;

std::uint64_t random_seed() {
  std::random_device device;
  return std::uint64_t{device()} << 32U | device();
}

// Both objects have the same maps and programs, so that one skeleton serves for both.
Skeleton open_without_kfunc() {
  // NOLINTNEXTLINE(cppcoreguidelines-no-malloc): what destroy() frees
  Skeleton skeleton(static_cast<handshake_bpf*>(std::calloc(1, sizeof(handshake_bpf))));
  if (!skeleton || handshake_bpf__create_skeleton(skeleton.get()) != 0) {
    return nullptr;
  }
  skeleton->skeleton->data = handshake_without_kfunc_bpf::elf_bytes(&skeleton->skeleton->data_sz);
  return bpf_object__open_skeleton(skeleton->skeleton, nullptr) == 0 ? std::move(skeleton) : nullptr;
}

Result<Skeleton> open_object(const Programs::Options& options, const KernelFeatures& features) {
  auto skeleton = features.has(Feature::kConntrackKfunc) ? Skeleton(handshake_bpf::open()) : open_without_kfunc();
  if (!skeleton) {
    return fail_errno("open the embedded BPF object", errno);
  }
  skeleton->rodata->handshake_timeout_ns = static_cast<__u64>(options.handshake_timeout.count());
  skeleton->rodata->have_prefixes = options.prefixes ? 1 : 0;
  skeleton->rodata->resets_by_drop = options.reset_sensor == ResetSensor::kDrop ? 1 : 0;
  const std::uint32_t sets = (options.pending_syns / kAttemptsPerSet) + 1;
  skeleton->rodata->attempt_places = options.pending_syns;
  skeleton->rodata->index_sets = sets;
  skeleton->rodata->hash_seed = random_seed();
  bpf_map__set_max_entries(skeleton->maps.attempts, options.pending_syns);
  bpf_map__set_max_entries(skeleton->maps.attempt_index, sets);
  bpf_map__set_max_entries(skeleton->maps.events, options.ring_bytes);
  const bool probes = options.reset_sensor == ResetSensor::kKprobe;
  bpf_program__set_autoload(skeleton->progs.kfree_skb, features.has(Feature::kDropReasons));
  bpf_program__set_autoload(skeleton->progs.tcp_send_reset, options.reset_sensor == ResetSensor::kTracepoint);
  bpf_program__set_autoload(skeleton->progs.tcp_v4_send_reset, probes);
  bpf_program__set_autoload(skeleton->progs.tcp_v6_send_reset, probes);
  bpf_program__set_autoload(skeleton->progs.sweep, features.has(Feature::kSweep));
  bpf_program__set_autoload(skeleton->progs.set_conntrack, features.has(Feature::kSweep));
  return skeleton;
}

std::uint64_t bytes_of(const bpf_map* map) {
  return std::uint64_t{bpf_map__max_entries(map)} * std::max(bpf_map__value_size(map), 1U);
}

// Who asked for how much, and who would not give it.
std::string why_no_memory(const Programs::Options& options, const handshake_bpf& object) {
  const auto limit = memory_limit();
  return "; of the kernel's memory --pending-syns " + std::to_string(options.pending_syns) + " asks for " +
         mebibytes(bytes_of(object.maps.attempts) + bytes_of(object.maps.attempt_index)) + ", --ring-bytes for " +
         mebibytes(bytes_of(object.maps.events)) + ", and the other tables for some 8 MiB; " +
         (limit ? "the limit is " + mebibytes(limit->bytes) + " (" + limit->file +
                      "; in Kubernetes resources.limits.memory): raise it, or lower --pending-syns"
                : "no cgroup limits it: the machine has no more; lower --pending-syns");
}

// Opened and loaded, or why not in one line.
Result<Skeleton> try_to_load(const Programs::Options& options, const KernelFeatures& features) {
  const LibbpfTranscript transcript;
  auto skeleton = open_object(options, features);
  if (!skeleton) {
    return skeleton;
  }
  if (const int error = handshake_bpf::load(skeleton->get()); error != 0) {
    transcript.log();
    auto refused = fail_errno(refusal_in(transcript.messages()), error);
    return error == -ENOMEM ? fail(refused.error().message + why_no_memory(options, **skeleton)) : refused;
  }
  return skeleton;
}

std::string kernel_release() {
  utsname kernel{};
  uname(&kernel);
  return static_cast<const char*>(kernel.release);
}

struct Sensor {
  bpf_program* program;
  bpf_link** link;
};

Result<void> attach(const Sensor& sensor) {
  if (!bpf_program__autoload(sensor.program)) {
    return {};
  }
  const LibbpfTranscript transcript;
  bpf_link* const link = bpf_program__attach(sensor.program);
  if (link == nullptr) {
    const int error = errno;
    transcript.log();
    return fail_errno(std::string(bpf_program__section_name(sensor.program)), error);
  }
  *sensor.link = link;
  return {};
}

// The TC programs have nothing to attach to by themselves.
Result<void> attach_sensors(handshake_bpf& object, LoadOutcome& outcome) {
  for (const Sensor& tracepoint : {Sensor{object.progs.kfree_skb, &object.links.kfree_skb},
                                   Sensor{object.progs.tcp_send_reset, &object.links.tcp_send_reset}}) {
    if (auto attached = attach(tracepoint); !attached) {
      return fail("attach the tracepoint " + attached.error().message);
    }
  }
  for (const Sensor& probe : {Sensor{object.progs.tcp_v4_send_reset, &object.links.tcp_v4_send_reset},
                              Sensor{object.progs.tcp_v6_send_reset, &object.links.tcp_v6_send_reset}}) {
    if (auto attached = attach(probe); !attached) {
      outcome.lost.push_back("cannot attach the probe " + attached.error().message +
                             " (kernel.perf_event_paranoid from 3 on asks for CAP_SYS_ADMIN): resets are seen where "
                             "they leave a pod, not those of the node's own stack");
      outcome.reset_sensor = ResetSensor::kNone;
      break;
    }
  }
  return {};
}

}  // namespace

void SkeletonDeleter::operator()(handshake_bpf* skeleton) const {
  handshake_bpf::destroy(skeleton);
}

Result<LoadedObject> load_object(const Programs::Options& options, const KernelFeatures& features) {
  LoadedObject object;
  object.outcome = {
      .conntrack_in_kernel = features.has(Feature::kConntrackKfunc), .reset_sensor = options.reset_sensor, .lost = {}};
  auto skeleton = try_to_load(options, features);
  if (!skeleton && object.outcome.conntrack_in_kernel) {
    // What the kernel offers in its type information it may still refuse.
    auto without = try_to_load(options, features.without(Feature::kConntrackKfunc));
    if (without) {
      object.outcome.conntrack_in_kernel = false;
      object.outcome.lost.push_back("bpf_skb_ct_lookup cannot be used here (" + skeleton.error().message +
                                    "); conntrack is asked over netlink instead, for handshakes in doubt only");
      skeleton = *std::move(without);
    }
  }
  if (!skeleton) {
    return fail("kernel " + kernel_release() + ": cannot load the BPF programs: " + skeleton.error().message +
                "; 'hairpind check --log-level debug' shows all that the kernel says: please report it with that");
  }
  object.skeleton = *std::move(skeleton);
  if (auto attached = attach_sensors(*object.skeleton, object.outcome); !attached) {
    return std::unexpected(attached.error());
  }
  return object;
}

}  // namespace hairpind
