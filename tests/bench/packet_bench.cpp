// SPDX-License-Identifier: Apache-2.0
// Nanoseconds a packet costs, over an empty program measured in the same run. Needs root; run by scripts/bench.sh.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bpf_runner.hpp"
#include "hairpind/bpf/kernel_side.hpp"
#include "packet_builder.hpp"

namespace hairpind::testing {
namespace {

constexpr int kRepeat = 1'000'000;
constexpr int kRounds = 9;
constexpr int kSingles = 20'000;
constexpr std::uint32_t kPendingSyns = 65536;

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// `return -1`, what every hairpind program amounts to.
int load_empty_program() {
  const std::array<bpf_insn, 2> instructions{{
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .src_reg = 0, .off = 0, .imm = -1},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  }};
  const int fd =
      bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "empty", "GPL", instructions.data(), instructions.size(), nullptr);
  if (fd < 0) {
    std::fprintf(stderr, "packet_bench: cannot load the empty program; is this root?\n");
    std::exit(1);
  }
  return fd;
}

struct ObjectDeleter {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

/// new_syn.bpf.c: a packet with a sequence number of its own each time, within one system call.
class NewSyns {
 public:
  NewSyns() : object_(bpf_object__open_file(HAIRPIND_NEW_SYN_OBJECT, nullptr)) {
    if (!object_ || bpf_object__load(object_.get()) != 0) {
      std::fprintf(stderr, "packet_bench: cannot load %s\n", HAIRPIND_NEW_SYN_OBJECT);
      std::exit(1);
    }
  }

  /// Nanoseconds each, with the call to `program` and the packet's change.
  double run(int program, const std::vector<std::uint8_t>& packet, std::uint32_t ifindex, int repeat) const {
    const std::uint32_t slot = 0;
    const int measured = bpf_object__find_map_fd_by_name(object_.get(), "measured");
    const int self = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "new_syn"));
    if (bpf_map_update_elem(measured, &slot, &program, BPF_ANY) != 0) {
      std::fprintf(stderr, "packet_bench: the kernel refuses the tail call\n");
      std::exit(1);
    }
    const RunResult result = run_program(self, packet, ifindex, repeat);
    if (result.verdict != -1) {
      std::fprintf(stderr, "packet_bench: the tail call was not made\n");
      std::exit(1);
    }
    return result.nanoseconds;
  }

 private:
  std::unique_ptr<bpf_object, ObjectDeleter> object_;
};

/// The same packet a million times: the median of rounds, over the empty program next to it.
double repeated(int empty, int program, const std::vector<std::uint8_t>& packet, std::uint32_t ifindex) {
  std::vector<double> over;
  for (int round = 0; round < kRounds; round++) {
    const double base = run_program(empty, packet, ifindex, kRepeat).nanoseconds;
    over.push_back(run_program(program, packet, ifindex, kRepeat).nanoseconds - base);
  }
  return median(over);
}

/// A new packet each time, once: the median of many, over the empty program next to it.
double each_once(int empty, int program, const std::function<std::vector<std::uint8_t>(std::uint32_t)>& packet,
                 std::uint32_t ifindex, const std::function<void(std::uint32_t)>& before = {},
                 std::uint32_t times = kSingles) {
  std::vector<double> base;
  std::vector<double> cost;
  for (std::uint32_t i = 0; i < times; i++) {
    if (before) {
      before(i);
    }
    const auto bytes = packet(i);
    base.push_back(run_program(empty, bytes, ifindex).nanoseconds);
    cost.push_back(run_program(program, bytes, ifindex).nanoseconds);
  }
  return median(cost) - median(base);
}

void print(const char* what, const char* hook, double nanoseconds, const char* budget) {
  std::printf("%-34s %-9s %8.1f   %s\n", what, hook, nanoseconds, budget);
  std::fflush(stdout);
}

/// With the load balancer 10.0.5.5:443 and the pods' devices, and with empty tables.
std::unique_ptr<KernelSide> load_kernel_side() {
  // Test packets end in kfree_skb: the tracepoint would be measured with each, and take them for drops.
  static const auto features =
      KernelFeatures::probe().without(Feature::kDropReasons).without(Feature::kResetTracepoint);
  auto loaded = KernelSide::load({.pending_syns = kPendingSyns}, AttachMode::kTcx, features, true);
  if (!loaded) {
    std::fprintf(stderr, "packet_bench: %s\n", loaded.error().message.c_str());
    std::exit(1);
  }
  KernelSide& kernel = **loaded;
  const std::array frontends{Frontend{.address = ip("10.0.5.5"), .port = 443}};
  bool ready = kernel.frontends.change(frontends, {}).frontends.empty() &&
               kernel.attachments.set_node_addresses({ip("10.0.0.4")}).has_value();
  for (const char* const pod : {"pod1", "pod2"}) {
    ready = ready && kernel.attachments.attach({.ifindex = ifindex_of(pod), .role = DeviceRole::kPod}).has_value();
  }
  if (!ready) {
    std::fprintf(stderr, "packet_bench: cannot set up the programs' maps\n");
    std::exit(1);
  }
  return *std::move(loaded);
}

/// New SYNs one after the other, into a table with room: the median of rounds, each with tables of its own.
double new_syns_with_room(const NewSyns& syns, int empty, const std::vector<std::uint8_t>& packet,
                          std::uint32_t ifindex) {
  std::vector<double> over;
  for (int round = 0; round < kRounds; round++) {
    const auto kernel = load_kernel_side();
    const int program = kernel->programs->fd(Hook::kFromPod);
    syns.run(program, packet, ifindex, kPendingSyns / 8);
    const double base = syns.run(empty, packet, ifindex, kRepeat);
    over.push_back(syns.run(program, packet, ifindex, kPendingSyns / 2) - base);
  }
  return median(over);
}

/// The same into a table that has to give up an attempt for each.
double new_syns_into_full_table(const NewSyns& syns, int empty, int program, const std::vector<std::uint8_t>& packet,
                                std::uint32_t ifindex) {
  syns.run(program, packet, ifindex, 2 * kPendingSyns);
  std::vector<double> over;
  for (int round = 0; round < kRounds; round++) {
    const double base = syns.run(empty, packet, ifindex, kRepeat);
    over.push_back(syns.run(program, packet, ifindex, 4 * kPendingSyns) - base);
  }
  return median(over);
}

/// New SYNs to no load balancer, as many at once as a device may note: the median of rounds.
double new_syns_elsewhere(const NewSyns& syns, int empty, const ProgramVariables& variables, int program,
                          const std::vector<std::uint8_t>& packet, std::uint32_t ifindex) {
  constexpr int kBatches = 1000;
  hp_account& account = variables.accounts().each[ifindex % (HP_ACCOUNTS - 1) + 1];
  std::vector<double> over;
  for (int round = 0; round < kRounds; round++) {
    double sum = 0;
    for (int batch = 0; batch < kBatches; batch++) {
      sum -= syns.run(empty, packet, ifindex, HP_NOTES_A_DEVICE);
      account.notes = 0;
      sum += syns.run(program, packet, ifindex, HP_NOTES_A_DEVICE);
    }
    over.push_back(sum / kBatches);
  }
  return median(over);
}

int run() {
  if (const std::string why_not = enter_node_namespace(); !why_not.empty()) {
    std::fprintf(stderr, "packet_bench: %s\n", why_not.c_str());
    return 1;
  }
  const auto loaded = load_kernel_side();
  const std::uint32_t pod = ifindex_of("pod1");
  const std::uint32_t target = ifindex_of("pod2");
  const int empty = load_empty_program();
  const auto program = [&](Hook hook) { return loaded->programs->fd(hook); };

  const auto data_v4 =
      PacketBuilder().from("10.0.1.10", 40000).to("10.0.5.5", 443).tcp(kAck, 0x12345678, 1).payload(1000).build();
  const auto data_v6 =
      PacketBuilder().from("fd00:1::10", 40000).to("fd00:5::5", 443).tcp(kAck, 0x12345678, 1).payload(1000).build();
  std::vector<std::uint8_t> arp(42, 0);
  arp[12] = 0x08;
  arp[13] = 0x06;
  const auto syn = [](std::uint32_t i) {
    return PacketBuilder().from("10.0.1.10", 40000).to("10.0.5.5", 443).tcp(kSyn, i).build();
  };
  const auto wrong_synack = [](std::uint32_t i) {
    return PacketBuilder().from("10.0.1.20", 8443).to("10.0.1.10", 40000).tcp(kSyn | kAck, 7, i + 1).build();
  };

  std::printf("%-34s %-9s %8s   %s\n", "packet", "hook", "ns", "budget (ns over an empty program)");
  for (const Hook hook : kAllHooks) {
    const std::string name(to_string(hook));
    print("data", name.c_str(), repeated(empty, program(hook), data_v4, pod), "4");
    print("data, IPv6", name.c_str(), repeated(empty, program(hook), data_v6, pod), "4");
    print("ARP", name.c_str(), repeated(empty, program(hook), arp, pod), "4");
  }
  const auto elsewhere = PacketBuilder().from("10.0.1.10", 40000).to("10.0.9.9", 443).tcp(kSyn, 1).build();
  print("SYN elsewhere", "from_pod", repeated(empty, program(Hook::kFromPod), elsewhere, pod), "40");
  print("SYN elsewhere", "to_net", repeated(empty, program(Hook::kToNet), elsewhere, pod), "40");
  const auto ordinary =
      PacketBuilder().from("10.0.9.9", 443).to("10.0.1.10", 40000).tcp(kSyn | kAck, 7, 0x12345678).build();
  const NewSyns new_syns;
  for (const Hook hook : {Hook::kFromPod, Hook::kToNet}) {
    print("  a new one each time", std::string(to_string(hook)).c_str(),
          new_syns_elsewhere(new_syns, empty, loaded->variables, program(hook), elsewhere, pod), "45");
  }
  const auto coming_in = PacketBuilder().from("10.0.9.9", 40000).to("10.0.1.10", 443).tcp(kSyn, 1).build();
  print("SYN from elsewhere", "from_net", repeated(empty, program(Hook::kFromNet), coming_in, pod), "45");
  print("SYN-ACK, ordinary", "from_pod", repeated(empty, program(Hook::kFromPod), ordinary, pod), "40");
  print("SYN-ACK, ordinary", "to_pod", repeated(empty, program(Hook::kToPod), ordinary, pod), "40");
  print("SYN to a load balancer, retransmit", "from_pod", repeated(empty, program(Hook::kFromPod), syn(1), pod), "350");
  print("SYN to a load balancer, new", "from_pod", new_syns_with_room(new_syns, empty, syn(1), pod), "350");
  print("  each once, cold caches", "from_pod", each_once(empty, program(Hook::kFromPod), syn, pod), "");
  const auto attempt_at = [&](const KernelSide& kernel, std::uint32_t i) {
    run_program(kernel.programs->fd(Hook::kFromPod), syn(i), pod);
  };
  {
    // With tables of its own: of a device with more pending attempts no answer is looked for where it leaves.
    constexpr std::uint32_t kTagged = 1000;
    const auto fresh = load_kernel_side();
    print("SYN-ACK, mismatched, leaving", "from_pod",
          each_once(
              empty, fresh->programs->fd(Hook::kFromPod), wrong_synack, target,
              [&](std::uint32_t i) { attempt_at(*fresh, i); }, kTagged),
          "");
  }
  print("SYN-ACK, mismatched, delivered", "to_pod",
        each_once(
            empty, program(Hook::kToPod), [&](std::uint32_t i) { return wrong_synack(i + 2'000'000); }, pod,
            [&](std::uint32_t i) { attempt_at(*loaded, i + 2'000'000); }),
        "");
  print("SYN to a load balancer, table full", "from_pod",
        new_syns_into_full_table(new_syns, empty, program(Hook::kFromPod), syn(1), pod), "500");
  print("  each once, cold caches", "from_pod",
        each_once(empty, program(Hook::kFromPod), [&](std::uint32_t i) { return syn(i + 3'000'000'000); }, pod), "");
  // Of a pair that is an incident, while its evidence is gathered.
  const CallingPair pair{.client = ip("10.0.1.10"), .load_balancer = {.address = ip("10.0.5.5"), .port = 443}};
  std::uint64_t copied = 0;
  const auto take_copies = [&](std::uint32_t) {
    if (!loaded->ring.poll([](const Event&) {}, [&](const CapturedPacket&) { copied++; })) {
      std::fprintf(stderr, "packet_bench: the ring cannot be read\n");
    }
  };
  const bool ordered = loaded->captures.set(pair, kSingles).has_value();
  print("SYN to a load balancer, copied", "from_pod",
        each_once(
            empty, program(Hook::kFromPod), [&](std::uint32_t i) { return syn(i + 4'000'000); }, pod, take_copies),
        "");
  take_copies(0);
  if (!ordered || !loaded->captures.set(pair, 0) || copied < kSingles) {
    std::fprintf(stderr, "packet_bench: %llu packets of %d were copied\n", static_cast<unsigned long long>(copied),
                 kSingles);
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace hairpind::testing

int main() {
  return hairpind::testing::run();
}
