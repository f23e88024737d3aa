// SPDX-License-Identifier: Apache-2.0
// The agent in a large cluster that changes all the time: what it costs, and that it still sees. Needs root.
//   cluster_bench [SECONDS]     of changes; default 60
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "agent_process.hpp"
#include "api_server.hpp"
#include "cluster_churn.hpp"
#include "network_lab.hpp"
#include "tcp_clients.hpp"

namespace {

using namespace hairpind::testing;
using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr int kServices = 10000;
constexpr int kFewLoadBalancers = 200;
constexpr int kPods = 250;
constexpr int kChangesPerSecond = 200;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "cluster_bench: %s\n", why.c_str());
  std::exit(1);
}

/// On a CPU, all threads, in nanoseconds.
double runtime_ns(pid_t pid) {
  double total = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task")) {
    total += std::stod(read_file(task.path() / "schedstat"));
  }
  return total;
}

double status_mib(pid_t pid, const std::string& name) {
  std::istringstream status(read_file("/proc/" + std::to_string(pid) + "/status"));
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) {
      return std::stod(line.substr(name.size() + 1)) / 1024;
    }
  }
  return 0;
}

void report(const char* what, double value, const char* budget) {
  std::printf("%-46s %8.3f   %s\n", what, value, budget);
  std::fflush(stdout);
}

void add_lab_objects(ApiServer& server) {
  server.upsert("nodes", {{"apiVersion", "v1"},
                          {"kind", "Node"},
                          {"metadata", {{"name", "n1"}}},
                          {"status", {{"addresses", Json::array({{{"address", "10.0.0.4"}}})}}}});
  server.upsert("pods", {{"apiVersion", "v1"},
                         {"kind", "Pod"},
                         {"metadata", {{"namespace", "shop"}, {"name", "web"}}},
                         {"spec", {{"nodeName", "n1"}}},
                         {"status", {{"phase", "Running"}, {"podIP", "10.0.1.10"}}}});
  server.upsert(
      "services",
      {{"apiVersion", "v1"},
       {"kind", "Service"},
       {"metadata", {{"namespace", "shop"}, {"name", "api"}}},
       {"spec", {{"type", "LoadBalancer"}, {"ports", Json::array({{{"port", 443}}})}}},
       {"status", {{"loadBalancer", {{"ingress", Json::array({{{"ip", "10.0.5.5"}, {"ipMode", "Proxy"}}})}}}}}});
}

std::unique_ptr<ApiServer> start_server(const NetworkLab& lab) {
  std::unique_ptr<ApiServer> server;
  lab.inside("node", [&] { server = std::make_unique<ApiServer>(); });
  add_lab_objects(*server);
  return server;
}

std::unique_ptr<AgentProcess> start_agent(const NetworkLab& lab, const ApiServer& server, const char* pending_syns) {
  const std::string config = "/tmp/hairpind-kubeconfig-" + std::to_string(getpid());
  std::ofstream(config) << kubeconfig(server);
  auto agent = std::make_unique<AgentProcess>(
      lab, std::vector<std::string>{"--kubeconfig", config, "--node-name", "n1", "--handshake-timeout", "1",
                                    "--pending-syns", pending_syns});
  const bool synced = eventually([&] { return agent->metric("hairpind_kubernetes_synced") == 1; });
  std::filesystem::remove(config);
  if (!synced) {
    give_up("the agent did not get in step:\n" + agent->standard_error());
  }
  return agent;
}

// As most clusters are; with the largest table that the manifest's memory has room for.
void measure_few_load_balancers(const NetworkLab& lab) {
  const auto server = start_server(lab);
  const ClusterChurn churn(*server, kServices, kPods, kFewLoadBalancers);
  const auto agent = start_agent(lab, *server, "262144");
  report("10,000 Services, 200 load balancers: peak, MiB", status_mib(agent->pid(), "VmHWM"), "24");
}

int run(int seconds) {
  const NetworkLab lab;
  if (!lab.unavailable().empty()) {
    give_up(lab.unavailable());
  }
  lab.set_mode("ip-target");
  measure_few_load_balancers(lab);

  const auto server = start_server(lab);
  ClusterChurn churn(*server, kServices, kPods, kServices);
  const auto started = start_agent(lab, *server, "65536");
  const AgentProcess& agent = *started;
  report("10,000 load balancers read: agent, peak, MiB", status_mib(agent.pid(), "VmHWM"), "48");

  const double before = runtime_ns(agent.pid());
  const auto start = Clock::now();
  int failed = 0;
  for (int i = 0; i < seconds * kChangesPerSecond; i++) {
    std::this_thread::sleep_until(start + i * std::chrono::microseconds(1000000 / kChangesPerSecond));
    churn.change();
    if (i % kChangesPerSecond == 0) {
      lab.inside("p1", [] { const PendingConnections connection("10.0.5.5", 443, 1); });
      failed++;
    }
  }
  const double elapsed = std::chrono::duration<double, std::nano>(Clock::now() - start).count();
  report("200 changes a second: agent, % of a core", 100 * (runtime_ns(agent.pid()) - before) / elapsed, "5");
  report("200 changes a second: agent, peak, MiB", status_mib(agent.pid(), "VmHWM"), "48");
  report("200 changes a second: agent, resident, MiB", status_mib(agent.pid(), "VmRSS"), "");
  const bool exact = eventually([&] { return agent.metric_sum("hairpind_mismatches_total") == failed; });
  report("hairpins seen meanwhile, of those made", agent.metric_sum("hairpind_mismatches_total") / failed, "1");
  return exact ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const int seconds = argc > 1 ? std::atoi(argv[1]) : 60;
  if (argc > 2 || seconds <= 0) {
    std::fputs("usage: cluster_bench [SECONDS]\n", stderr);
    return 2;
  }
  return run(seconds);
}
