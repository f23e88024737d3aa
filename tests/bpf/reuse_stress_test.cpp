// SPDX-License-Identifier: Apache-2.0
// A place that is taken again while another CPU still judges who had it before: no verdict may have the client of one
// attempt and the responder of another. The programs are built with long windows between their steps
// (HP_WIDE_WINDOWS). Needs root and two CPUs.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bpf_runner.hpp"
#include "hairpind/abi.h"
#include "node_test.hpp"
#include "packet_builder.hpp"

namespace hairpind::testing {
namespace {

constexpr int kBatches = 12;
constexpr std::uint16_t kRounds = 256;
constexpr std::uint16_t kResponderPort = 30000;  // and the client's port

struct ObjectDeleter {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};

// Who calls, and who answers it wrongly: always these two together.
struct Pair {
  const char* client;
  const char* responder;
};
struct Family {
  Pair first;
  Pair second;
  const char* lb;
};
constexpr Family kV4{{"10.2.0.1", "10.3.0.1"}, {"10.2.0.2", "10.3.0.2"}, "10.0.5.5"};
constexpr Family kV6{{"fd00:2::1", "fd00:3::1"}, {"fd00:2::2", "fd00:3::2"}, "fd00:5::5"};

// At once, however busy the machine is: before everybody else of that CPU, for the second that it takes.
void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof(set), &set);
  const sched_param first{.sched_priority = 1};
  sched_setscheduler(0, SCHED_FIFO, &first);
}

void wait_for(const std::atomic<int>& progress, int round) {
  while (progress < round) {
    std::this_thread::yield();
  }
}

class ReuseStressTest : public NodeTest, public ::testing::WithParamInterface<const Family*> {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    if (std::thread::hardware_concurrency() < 2) {
      GTEST_SKIP() << "one CPU: nothing happens at once";
    }
    // Another object, to see the test fail on it.
    const char* const other = std::getenv("HAIRPIND_STRESS_OBJECT");
    object.reset(bpf_object__open_file(other == nullptr ? HAIRPIND_WIDE_WINDOWS_OBJECT : other, nullptr));
    ASSERT_TRUE(object);
    bpf_program* program = nullptr;
    while ((program = bpf_object__next_program(object.get(), program)) != nullptr) {
      bpf_program__set_autoload(program, std::string(bpf_program__section_name(program)) == "tc");
    }
    ASSERT_EQ(bpf_object__load(object.get()), 0);
    const bpf_map_info info = info_of(".bss");
    bss_size = (std::size_t{info.value_size} + 4095) / 4096 * 4096;
    bss = static_cast<std::byte*>(mmap(nullptr, bss_size, PROT_READ | PROT_WRITE, MAP_SHARED, map(".bss"), 0));
    ASSERT_NE(bss, MAP_FAILED);
    watch_for(GetParam()->lb);
    for (const char* const client : {GetParam()->first.client, GetParam()->second.client}) {
      const hp_address key = ip(client).to_abi();
      hp_source source{};
      source.ifindex = ifindex_of("pod1");
      ASSERT_EQ(bpf_map_update_elem(map("sources"), &key, &source, BPF_ANY), 0);
      // Whose it is; older programs go by `sources`.
      if (const __u32 owner = source.ifindex; map("owners") >= 0) {
        ASSERT_EQ(bpf_map_update_elem(map("owners"), &key, &owner, BPF_ANY), 0);
      }
    }
  }
  void TearDown() override {
    if (bss != nullptr) {
      munmap(bss, bss_size);
    }
  }

  [[nodiscard]] int map(const char* name) const { return bpf_object__find_map_fd_by_name(object.get(), name); }
  [[nodiscard]] bpf_map_info info_of(const char* name) const {
    bpf_map_info info{};
    __u32 size = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(map(name), &info, &size), 0);
    return info;
  }

  // A variable in .bss; null where this object has none of that name.
  [[nodiscard]] std::byte* variable(const std::string& name) const {
    const btf* const types = bpf_object__btf(object.get());
    const int id = btf__find_by_name_kind(types, ".bss", BTF_KIND_DATASEC);
    if (id < 0) {
      return nullptr;
    }
    const btf_type* const section = btf__type_by_id(types, static_cast<std::uint32_t>(id));
    const btf_var_secinfo* const variables = btf_var_secinfos(section);
    for (int i = 0; i < btf_vlen(section); i++) {
      if (name == btf__name_by_offset(types, btf__type_by_id(types, variables[i].type)->name_off)) {
        return bss + variables[i].offset;
      }
    }
    return nullptr;
  }

  void watch_for(const char* lb) const {
    const hp_endpoint key = Endpoint{.address = ip(lb), .port = 443}.to_abi();
    const hp_frontend frontend{};
    ASSERT_EQ(bpf_map_update_elem(map("frontends"), &key, &frontend, BPF_ANY), 0);
    const std::uint32_t bit = hp_address_filter_bit(&key.address);
    reinterpret_cast<__u64*>(variable("frontend_filter"))[bit / 64] |= __u64{1} << (bit % 64);
  }

  void run(const char* program, const PacketBuilder& packet) const {
    run_program(bpf_program__fd(bpf_object__find_program_by_name(object.get(), program)), packet.build(),
                ifindex_of("pod1"));
  }
  void call(const Pair& pair, std::uint16_t port, std::uint32_t isn) const {
    run("from_pod", PacketBuilder().from(pair.client, port).to(GetParam()->lb, 443).tcp(kSyn, isn));
  }
  void answer_wrongly(const Pair& pair, std::uint16_t port, std::uint32_t isn) const {
    run("to_pod", PacketBuilder()
                      .from(pair.responder, static_cast<std::uint16_t>(kResponderPort + port))
                      .to(pair.client, port)
                      .tcp(kSyn | kAck, 7, isn + 1));
  }
  // By the load balancer, so that its place is free at once.
  void refuse(const Pair& pair, std::uint16_t port, std::uint32_t isn) const {
    run("to_pod", PacketBuilder().from(GetParam()->lb, 443).to(pair.client, port).tcp(kRst | kAck, 0, isn + 1));
  }

  // Both get something wrong with the same attempt; the second takes its place, too.
  void race(std::uint32_t isns) const {
    std::atomic<int> called = 0;
    std::atomic<int> over = 0;
    std::thread first([&] {
      run_on(0);
      for (std::uint16_t round = 1; round <= kRounds; round++) {
        wait_for(over, round - 1);
        call(GetParam()->first, round, isns + round);
        called = round;
        answer_wrongly(GetParam()->first, round, isns + round);
      }
    });
    std::thread second([&] {
      run_on(1);
      for (std::uint16_t round = 1; round <= kRounds; round++) {
        wait_for(called, round);
        refuse(GetParam()->first, round, isns + round);
        call(GetParam()->second, round, isns + 0x10000 + round);
        answer_wrongly(GetParam()->second, round, isns + 0x10000 + round);
        over = round;
      }
    });
    first.join();
    second.join();
  }

  // Takes all verdicts out of the kernel; how many there were.
  int check_verdicts() const {
    int verdicts = 0;
    hp_incident_key key{};
    while (bpf_map_get_next_key(map("incidents"), nullptr, &key) == 0) {
      std::vector<std::byte> value(info_of("incidents").value_size);
      EXPECT_EQ(bpf_map_lookup_elem(map("incidents"), &key, value.data()), 0);
      EXPECT_EQ(bpf_map_delete_elem(map("incidents"), &key), 0);
      hp_attempt sample{};
      std::memcpy(&sample, value.data() + value.size() - sizeof(sample), sizeof(sample));
      const IpAddress client = IpAddress::from_abi(key.client);
      const Pair& pair = client == ip(GetParam()->first.client) ? GetParam()->first : GetParam()->second;
      const Endpoint responder = Endpoint::from_abi(key.responder);
      const Endpoint caller = Endpoint::from_abi({.address = sample.key.client, .port = sample.key.port, .pad = 0});
      EXPECT_NE(key.cause, HP_CAUSE_NONE);
      EXPECT_EQ(client, ip(pair.client));
      EXPECT_EQ(caller.address, client);
      EXPECT_EQ(responder, (Endpoint{ip(pair.responder), static_cast<std::uint16_t>(kResponderPort + caller.port)}))
          << pair.client << " was answered by " << responder.to_string();
      EXPECT_EQ(sample.cause, key.cause);
      verdicts++;
    }
    for (const char* const counted : {"incident_count", "accounts"}) {
      if (std::byte* const found = variable(counted); found != nullptr) {
        std::memset(found, 0, std::string(counted) == "accounts" ? HP_ACCOUNTS * sizeof(hp_account) : sizeof(__u32));
      }
    }
    return verdicts;
  }

  std::unique_ptr<bpf_object, ObjectDeleter> object;
  std::byte* bss = nullptr;
  std::size_t bss_size = 0;
};

TEST_P(ReuseStressTest, NoVerdictMixesTwoAttempts) {
  int verdicts = 0;
  for (int batch = 0; batch < kBatches && !HasFailure(); batch++) {
    race(static_cast<std::uint32_t>(batch) * 0x100000U);
    verdicts += check_verdicts();
  }
  // Each of the second's, and of the first's those that were not refused before.
  EXPECT_GE(verdicts, HasFailure() ? 0 : kBatches * kRounds);
}

INSTANTIATE_TEST_SUITE_P(Families, ReuseStressTest, ::testing::Values(&kV4, &kV6),
                         [](const auto& parameter) { return parameter.param == &kV4 ? "ipv4" : "ipv6"; });

}  // namespace
}  // namespace hairpind::testing
