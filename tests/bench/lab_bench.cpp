// SPDX-License-Identifier: Apache-2.0
// The agent in the lab, each measurement beside its budget. Needs root; run by scripts/bench.sh.
#include <bpf/libbpf.h>
#include <net/if.h>
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agent_process.hpp"
#include "network_lab.hpp"
#include "pod_interfaces.hpp"
#include "syn_storm.hpp"
#include "tc_programs.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr int kPods = 250;
constexpr int kNewPods = 20;
constexpr int kSightings = 50;
constexpr std::uint32_t kMismatches = 200'000;
constexpr std::uint32_t kClients = 500;
constexpr int kPairs = 24;
constexpr int kConnections = 20'000;
constexpr int kAtOnce = 16;
constexpr std::uint32_t kHairpindHandle = 0x6870;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

void print(const char* what, double value, const char* unit, const char* budget) {
  std::printf("%-44s %12.3f %-9s %s\n", what, value, unit, budget);
  std::fflush(stdout);
}

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "lab_bench: %s\n", what);
  std::exit(1);
}

// Processor time of all its threads so far.
double processor_seconds(const AgentProcess& agent) {
  double nanoseconds = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(agent.pid()) + "/task")) {
    nanoseconds += std::stod(read_file(task.path() / "schedstat"));
  }
  return nanoseconds / 1e9;
}

// Whether the second of a device's two programs is there, seen without asking the agent: a question costs it more than
// a new device does.
bool is_attached(const NetworkLab& lab, const std::string& device, const std::string& attach) {
  if (attach == "tcx") {
    return !tcx_programs(lab, device, TcHook::kEgress).empty();
  }
  bool attached = false;
  lab.inside("node", [&] {
    bpf_tc_hook hook{};
    hook.sz = sizeof(hook);
    hook.ifindex = static_cast<int>(if_nametoindex(device.c_str()));
    hook.attach_point = BPF_TC_EGRESS;
    bpf_tc_opts filter{};
    filter.sz = sizeof(filter);
    filter.handle = kHairpindHandle;
    filter.priority = 1;
    attached = bpf_tc_query(&hook, &filter) == 0;
  });
  return attached;
}

template <typename Condition>
void wait_for(const char* what, Condition condition) {
  const auto start = Clock::now();
  while (!condition()) {
    if (seconds_since(start) > 60) {
      give_up(what);
    }
    std::this_thread::sleep_for(200us);
  }
}

std::unique_ptr<AgentProcess> start_agent(const NetworkLab& lab, std::vector<std::string> more = {}) {
  more.insert(more.end(), {"--lb", "10.0.5.5:443", "--log-level", "error"});
  auto agent = std::make_unique<AgentProcess>(lab, std::move(more));
  if (!agent->wait_until_ready()) {
    give_up("the agent does not start");
  }
  return agent;
}

void measure_idle(const AgentProcess& agent, const char* cpu, const char* memory) {
  constexpr auto kIdle = 20s;
  const double before = processor_seconds(agent);
  std::this_thread::sleep_for(kIdle);
  print(cpu, 100 * (processor_seconds(agent) - before) / std::chrono::duration<double>(kIdle).count(), "% core", "0.1");
  print(memory, static_cast<double>(agent.resident_kib()) / 1024, "MiB", "20");
}

void measure_attaching(const NetworkLab& lab, const std::string& attach) {
  {
    const auto few = Clock::now();
    const auto agent = start_agent(lab, {"--attach", attach});
    const double base = seconds_since(few);
    if (attach == "tcx") {
      measure_idle(*agent, "idle, 2 pod interfaces", "resident, 2 pod interfaces");
    }
    print((attach + ": start to ready, 2 pod interfaces").c_str(), base, "s", "");
  }
  add_pod_interfaces(lab, 0, kPods);
  const auto many = Clock::now();
  const auto agent = start_agent(lab, {"--attach", attach});
  print((attach + ": start to ready, 250 pod interfaces").c_str(), seconds_since(many), "s", "1 more than with 2");
  measure_idle(*agent, "idle, 250 pod interfaces", "resident, 250 pod interfaces");

  std::vector<double> attached;
  for (int i = 0; i < kNewPods; i++) {
    add_pod_interfaces(lab, kPods + i, 1);
    const auto made = Clock::now();
    wait_for("a new pod's device is not attached",
             [&] { return is_attached(lab, "pod" + std::to_string(kPods + i), attach); });
    attached.push_back(1000 * seconds_since(made));
  }
  print((attach + ": new pod's interface attached, median").c_str(), median(attached), "ms", "20");
  print((attach + ": new pod's interface attached, slowest").c_str(), *std::ranges::max_element(attached), "ms", "");
  remove_pod_interfaces(lab, 0, kPods + kNewPods);
}

void measure_interfaces(const NetworkLab& lab) {
  // What bpf_tc_query does not find it says on stderr.
  libbpf_set_print(nullptr);
  for (const char* const attach : {"tcx", "clsact"}) {
    measure_attaching(lab, attach);
  }
}

void measure_sighting(const NetworkLab& lab) {
  lab.set_mode("ip-target-stateless");
  const auto agent = start_agent(lab);
  SynStorm storm(lab, 1, kSightings);
  std::vector<double> times;
  std::uintmax_t size = 0;
  for (int i = 0; i < kSightings; i++) {
    // Each client is an incident of its own. Known from its SYN on, since that is when the clock starts here.
    const auto sent = Clock::now();
    if (!storm.run(1)) {
      give_up("the storm's attempts are not refused");
    }
    wait_for("no alert", [&] { return std::filesystem::file_size(agent->alerts_path()) > size; });
    times.push_back(seconds_since(sent));
    size = std::filesystem::file_size(agent->alerts_path());
  }
  print("first sighting to alert line, median", median(times), "s", "1");
  print("first sighting to alert line, slowest", *std::ranges::max_element(times), "s", "1");
}

double storm_seconds(const NetworkLab& lab) {
  // The SYN's ports and sequence numbers begin anew with each.
  SynStorm first(lab, 1, kClients / 2);
  SynStorm second(lab, 1 + kClients / 2, kClients / 2);
  const auto start = Clock::now();
  {
    const std::jthread other([&] {
      if (!first.run(kMismatches / 2)) {
        give_up("the storm's attempts are not refused");
      }
    });
    if (!second.run(kMismatches / 2)) {
      give_up("the storm's attempts are not refused");
    }
  }
  return seconds_since(start);
}

void measure_storm(const NetworkLab& lab) {
  lab.set_mode("ip-target-stateless");
  const double without = storm_seconds(lab);
  const auto agent = start_agent(lab);
  const double before = processor_seconds(*agent);
  const double with = storm_seconds(lab);
  const double cost = processor_seconds(*agent) - before;
  print("storm, without the agent", kMismatches / without / 1000, "1000/s", "");
  print("storm, with the agent", kMismatches / with / 1000, "1000/s", "");
  print("storm, the agent's processor time", 100 * cost / with, "% core", "");
  print("storm, resident", static_cast<double>(agent->resident_kib()) / 1024, "MiB", "");
  print("storm, counted of 200000", agent->metric_sum("hairpind_mismatches_total"), "", "200000");
}

// What the kernel side does for each SYN is packet_bench's; here, what the agent itself has to do about them.
void measure_flood(const NetworkLab& lab) {
  constexpr std::uint32_t kRate = 300'000;
  constexpr auto kTime = 20s;
  constexpr const char* kNowhere = "10.0.5.77";
  // Behind the pod's hook, which is all that a SYN meets before a load balancer that never answers.
  lab.ip("node", {"route", "add", "blackhole", kNowhere});
  const auto agent = start_agent(lab, {"--lb", std::string(kNowhere) + ":443"});
  const SynFlood flood(lab, "p2", "10.0.1.20", kNowhere, kRate);
  // Until the table is full, and what was first in it is settled.
  std::this_thread::sleep_for(5s);
  const double before = processor_seconds(*agent);
  const double seen = agent->metric_sum("hairpind_syns_total");
  const auto start = Clock::now();
  std::this_thread::sleep_for(kTime);
  const double cost = processor_seconds(*agent) - before;
  const double seconds = seconds_since(start);
  print("flood of one pod, SYNs", (agent->metric_sum("hairpind_syns_total") - seen) / seconds / 1000, "1000/s", "300");
  print("flood, the agent's processor time", 100 * cost / seconds, "% core", "5");
}

double connection_rate(const NetworkLab& lab) {
  double rate = 0;
  lab.inside("p1", [&] {
    // What the other side's end or this side's start left to do is not to be measured.
    complete_requests_at_once("10.0.5.5", 443, kConnections / 10, kAtOnce);
    const auto start = Clock::now();
    if (complete_requests_at_once("10.0.5.5", 443, kConnections, kAtOnce) != kConnections) {
      give_up("connections fail");
    }
    rate = kConnections / seconds_since(start);
  });
  return rate;
}

void measure_connection_rate(const NetworkLab& lab) {
  lab.set_mode("remote-target");
  std::vector<double> ratios;
  std::vector<double> rates_without;
  std::vector<double> rates_with;
  for (int pair = 0; pair < kPairs; pair++) {
    double with = 0;
    double without = 0;
    // Each is first in every other pair, so that what changes slowly on the machine falls on both.
    for (const bool agent_runs : {pair % 2 == 0, pair % 2 != 0}) {
      const auto agent = agent_runs ? start_agent(lab) : nullptr;
      (agent_runs ? with : without) = connection_rate(lab);
    }
    ratios.push_back(with / without);
    rates_without.push_back(without);
    rates_with.push_back(with);
  }
  std::ranges::sort(ratios);
  print("connect-request-close, without the agent", median(rates_without), "1/s", "");
  print("connect-request-close, with/without, median", median(ratios), "", "0.99 or more");
  print("  a quarter of the pairs is below", ratios[kPairs / 4], "", "");
  print("  a quarter of the pairs is above", ratios[kPairs - 1 - kPairs / 4], "", "");
  // Whatever else runs on the machine only ever slows a run down.
  print("  fastest with / fastest without", std::ranges::max(rates_with) / std::ranges::max(rates_without), "", "");
}

// The servers, the load balancer, the clients and the agent on one CPU: the rate is then what a connection costs in
// all, wherever the scheduler would have put its parts. Inherited by what is started from now on.
void stay_on_one_cpu() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(std::thread::hardware_concurrency() - 1, &one);
  if (sched_setaffinity(0, sizeof(one), &one) != 0) {
    give_up("cannot be bound to one CPU");
  }
}

int run(const std::string& only) {
  std::printf("%-44s %12s %-9s %s\n", "agent in the lab", "measured", "", "budget");
  constexpr std::pair<const char*, void (*)(const NetworkLab&)> kMeasures[] = {
      {"interfaces", measure_interfaces}, {"sighting", measure_sighting},    {"storm", measure_storm},
      {"flood", measure_flood},           {"rate", measure_connection_rate},
  };
  for (const auto& [name, measure] : kMeasures) {
    if (!only.empty() && only != name) {
      continue;
    }
    if (measure == measure_connection_rate) {
      stay_on_one_cpu();
    }
    const NetworkLab lab;
    if (!lab.unavailable().empty()) {
      give_up(lab.unavailable().c_str());
    }
    measure(lab);
  }
  return 0;
}

}  // namespace
}  // namespace hairpind::testing

// lab_bench [interfaces|sighting|storm|flood|rate]
int main(int argc, char** argv) {
  return hairpind::testing::run(argc > 1 ? argv[1] : "");
}
