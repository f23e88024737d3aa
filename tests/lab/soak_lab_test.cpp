// SPDX-License-Identifier: Apache-2.0
// All neighbours that mean harm at once, beside real hairpins and healthy traffic: DESIGN.md, 7a. Needs root.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent_process.hpp"
#include "alert_schema.hpp"
#include "api_server.hpp"
#include "cluster_objects.hpp"
#include "dns_server.hpp"
#include "hostile_pod.hpp"
#include "lab_test.hpp"
#include "memory_cgroup.hpp"
#include "tcp_clients.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr const char* kHostileName = "hostile.example";
const auto kToldWithin = 1s * patience();  // DESIGN.md, 7
// Of p1's clients, 10.3.0.1 and on: those that the API server knows as pods.
constexpr std::uint32_t kNamed = 250;
constexpr std::uint32_t kFirstClient = 0x0a030001;
constexpr std::uint32_t kFirstHostile = 0x0a040001;

std::chrono::seconds duration() {
  const char* const wanted = std::getenv("HAIRPIND_SOAK_SECONDS");
  return std::chrono::seconds(wanted == nullptr ? 120 : std::stol(wanted));
}

IpAddress v4(std::uint32_t address) {
  const std::uint32_t network = htonl(address);
  return *IpAddress::from_network(&network, sizeof(network));
}

std::uint32_t number_of(const std::string& address) {
  in_addr network{};
  inet_pton(AF_INET, address.c_str(), &network);
  return ntohl(network.s_addr);
}

/// The manifest's.
std::uint64_t memory_limit() {
  for (const YAML::Node& object : YAML::LoadAllFromFile(HAIRPIND_SOURCE_DIR "/deploy/daemonset.yaml")) {
    if (object["kind"].as<std::string>() == "DaemonSet") {
      const auto limit = object["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"];
      return std::stoull(limit.as<std::string>()) << 20U;
    }
  }
  return 0;
}

/// How late this machine is: what a thread finds that asks to be woken every ten milliseconds and has nothing else to
/// do. The agent is owed that time, and no more: where the machine is idle, there is next to none.
class Witness {
 public:
  /// The time between these two in which a thread that was due did not run.
  [[nodiscard]] Clock::duration lateness(Clock::time_point from, Clock::time_point until) const {
    const std::scoped_lock lock(mutex_);
    Clock::duration sum{};
    for (const auto& [woken, late] : late_) {
      sum += std::max(Clock::duration(), std::min(woken, until) - std::max(woken - late, from));
    }
    return sum;
  }

 private:
  static constexpr auto kRest = 10ms;

  void run(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      const auto due = Clock::now() + kRest;
      std::this_thread::sleep_until(due);
      const auto woken = Clock::now();
      const std::scoped_lock lock(mutex_);
      late_.emplace_back(woken, woken - due);
    }
  }

  mutable std::mutex mutex_;
  std::vector<std::pair<Clock::time_point, Clock::duration>> late_;
  std::jthread thread_{[this](const std::stop_token& stop) { run(stop); }};
};

/// Takes alerts from a pipe of one page, 512 bytes at a time, and every ten seconds for two seconds none at all.
class SlowReader {
 public:
  struct Line {
    Clock::time_point read;
    std::string text;
  };

  explicit SlowReader(const std::string& path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    pipe_ = FileDescriptor(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    EXPECT_GE(pipe_.get(), 0);
    EXPECT_GT(fcntl(pipe_.get(), F_SETPIPE_SZ, 4096), 0);
    thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  }

  [[nodiscard]] std::vector<Line> lines() const {
    const std::scoped_lock lock(mutex_);
    return lines_;
  }
  /// From when on it read what was there to be read at `time`.
  [[nodiscard]] Clock::time_point reads_from(Clock::time_point time) const {
    const std::scoped_lock lock(mutex_);
    for (const auto& [begun, ended] : rests_) {
      if (begun <= time && time < ended) {
        return ended;
      }
    }
    return time;
  }

 private:
  void run(const std::stop_token& stop) {
    auto rest_at = Clock::now() + 10s;
    std::string line;
    while (!stop.stop_requested()) {
      if (Clock::now() >= rest_at) {
        const auto begun = Clock::now();
        std::this_thread::sleep_until(begun + 2s);
        rest_at = Clock::now() + 10s;
        const std::scoped_lock lock(mutex_);
        rests_.emplace_back(begun, Clock::now());
      }
      pollfd readable{.fd = pipe_.get(), .events = POLLIN, .revents = 0};
      std::array<char, 512> piece{};
      if (poll(&readable, 1, 10) <= 0) {
        continue;
      }
      const ssize_t bytes = read(pipe_.get(), piece.data(), piece.size());
      if (bytes <= 0) {
        std::this_thread::sleep_for(10ms);  // nobody has it open
        continue;
      }
      for (const char byte : std::string_view(piece.data(), static_cast<std::size_t>(bytes))) {
        if (byte != '\n') {
          line += byte;
          continue;
        }
        const std::scoped_lock lock(mutex_);
        lines_.push_back({.read = Clock::now(), .text = std::exchange(line, {})});
      }
    }
  }

  FileDescriptor pipe_;
  mutable std::mutex mutex_;
  std::vector<Line> lines_;
  std::vector<std::pair<Clock::time_point, Clock::time_point>> rests_;
  std::jthread thread_;
};

/// One of p1's clients that calls the load balancer, and keeps on until it is told of.
struct Hairpin {
  FileDescriptor socket;
  std::uint16_t port = 0;
  Clock::time_point called;
};

Json service(const std::string& name, const std::string& created, const Json& ingress) {
  return {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", {{"namespace", "shop"}, {"name", name}, {"creationTimestamp", created}}},
          {"spec",
           {{"type", "LoadBalancer"},
            {"loadBalancerClass", "service.k8s.aws/nlb"},
            {"selector", {{"app", "api"}}},
            {"ports", Json::array({{{"port", 443}, {"nodePort", 30443}}})}}},
          {"status", {{"loadBalancer", {{"ingress", Json::array({ingress})}}}}}};
}

class SoakTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    cgroup = std::make_unique<MemoryCgroup>(memory_limit());
    if (!cgroup->unavailable().empty()) {
      GTEST_SKIP() << cgroup->unavailable();
    }
    // Its clients hold some hundred sockets.
    rlimit descriptors{};
    getrlimit(RLIMIT_NOFILE, &descriptors);
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
    directory = "/tmp/hairpind-soak-" + std::to_string(getpid());
    std::filesystem::create_directory(directory);
    lab().set_mode("ip-target-stateless");
    lab().ip("node", {"route", "replace", "10.3.0.0/16", "via", "10.0.1.10", "dev", "veth1"});
    lab().ip("net", {"route", "replace", "10.3.0.0/16", "via", "10.0.0.4"});
    lab().ip("p1", {"route", "replace", "local", "10.3.0.0/16", "dev", "lo"});
    lab().inside("node", [this] {
      api = std::make_unique<ApiServer>();
      dns = std::make_unique<DnsServer>(53);
    });
    fill_cluster();
    reader = std::make_unique<SlowReader>(directory + "/alerts");
  }

  void TearDown() override {
    agent.reset();
    if (!directory.empty()) {
      std::filesystem::remove_all(directory);
    }
  }

  void fill_cluster() const {
    api->upsert("nodes", lab_node());
    api->upsert("pods", ready_pod("api", "api", {"10.0.1.20"}));
    api->upsert("pods", ready_pod("hostile", "hostile", {"10.0.1.30"}));
    for (std::uint32_t i = 0; i < kNamed; i++) {
      api->upsert("pods", ready_pod("web-" + std::to_string(i), "web", {v4(kFirstClient + i).to_string()}));
    }
    api->upsert("services", service("api", "2020-01-01T00:00:00Z", {{"ip", "10.0.5.5"}, {"ipMode", "Proxy"}}));
    // Younger ones that publish its address, and one of a name that the hostile resolver answers for.
    for (const std::string rival : {"a-rival", "rival"}) {
      api->upsert("services", service(rival, "2026-01-01T00:00:00Z", {{"ip", "10.0.5.5"}, {"ipMode", "Proxy"}}));
    }
    api->upsert("services", service("by-name", "2020-01-01T00:00:00Z", {{"hostname", kHostileName}}));
  }

  void start_agent() {
    const std::string config = directory + "/kubeconfig";
    const std::string resolv_conf = directory + "/resolv.conf";
    std::ofstream(config) << kubeconfig(*api);
    std::ofstream(resolv_conf) << "nameserver 127.0.0.1\n";
    agent = std::make_unique<AgentProcess>(
        lab(),
        std::vector<std::string>{"--kubeconfig", config, "--node-name", "n1", "--listen", "0.0.0.0:9477", "--alerts",
                                 directory + "/alerts", "--lb", std::string(HostilePod::kSilent) + ":443", "--lb",
                                 "10.0.9.9:8443", "--lb", std::string(kHostileName) + ":443"},
        resolv_conf, cgroup->processes());
    ASSERT_TRUE(agent->wait_until_ready());
    ASSERT_TRUE(is_synced()) << agent->standard_error();
    ASSERT_TRUE(
        eventually([&] { return agent->get("/v1/status").second.find("\"10.0.5.5:443\"") != std::string::npos; }));
  }

  bool is_synced() const {
    return eventually([&] { return agent->metric("hairpind_kubernetes_synced") == 1; }, 120s);
  }

  /// Runs `work` again and again, in a thread inside a namespace, until stop_all().
  template <typename Work>
  void keep_on(const std::string& name_space, Work work) {
    threads.emplace_back([name_space, work = std::move(work)](const std::stop_token& stop) {
      lab().inside(name_space, [&] {
        for (std::uint32_t round = 0; !stop.stop_requested(); round++) {
          work(round);
        }
      });
    });
  }
  void stop_all() {
    threads.clear();
    pod_thread.reset();
  }

  // --- who means harm --------------------------------------------------------------------------------------------

  void harm_by_api_server(std::uint32_t round) const {
    switch (round % 8) {
      case 0:
        for (int i = 0; i < 20; i++) {
          Json huge = service("huge-" + std::to_string(round / 8 % 4 * 20 + static_cast<std::uint32_t>(i)),
                              "2026-01-01T00:00:00Z", {{"ip", "10.0.6." + std::to_string(i)}});
          huge["spec"]["type"] = i % 2 == 0 ? "LoadBalancer" : "ClusterIP";
          huge["metadata"]["annotations"] = {
              {"service.beta.kubernetes.io/aws-load-balancer-target-group-attributes", std::string(250'000, 'a')}};
          api->upsert("services", huge);
        }
        break;
      case 1:
        for (int i = 0; i < 10; i++) {
          Json huge = ready_pod("huge-" + std::to_string(i), "huge", {"10.0.7." + std::to_string(i)});
          for (int label = 0; label < 10; label++) {
            huge["metadata"]["labels"]["l" + std::to_string(label)] = std::string(100'000, 'b');
          }
          api->upsert("pods", huge);
        }
        break;
      case 2:
        api->send_line(R"({"type": "ADDED", "object": {"metadata": {"name": "\u001b[31m)" +
                       std::string(6'000'000, 'c') + "\"}}}");
        break;
      case 3:
        api->set_faults({.endless_status = 200});
        api->close_watches();
        break;
      case 4:
        api->set_faults({.endless_status = 403});
        break;
      case 5:
        api->set_faults({.stall_requests = true});
        break;
      case 6:
        api->set_faults({.cut_watch_lines = true});
        api->send_line("{\"type\": 7");
        api->compact();
        break;
      default:
        api->set_faults({});
        api->send_error_event();
    }
    std::this_thread::sleep_for(2s);
  }

  void harm_by_resolver(std::uint32_t round) const {
    static std::minstd_rand random;
    DnsServer::Answer answer;
    answer.silent = round % 100 >= 80 && round % 100 < 90;
    answer.response_code = round % 100 >= 90 ? 3 : 0;
    for (int i = 0; i < 240 && !answer.silent && answer.response_code == 0; i++) {
      // Of a network for benchmarks; and what is others'.
      answer.addresses.push_back(v4(0xc6120000U + static_cast<std::uint32_t>(random() & 0x1ffffU)));
    }
    for (const char* const others : {"10.0.1.20", "10.0.0.4", "127.0.0.1", "0.0.0.0", "255.255.255.255"}) {
      answer.addresses.push_back(*IpAddress::parse(others));
    }
    dns->set(answer);
    std::this_thread::sleep_for(50ms);
  }

  static FileDescriptor http_client(std::string_view bytes, int receive_bytes = 0) {
    FileDescriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (receive_bytes != 0) {
      setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9477);
    address.sin_addr.s_addr = htonl(0x0a000004);
    if (connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
      send(socket.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    }
    return socket;
  }

  static void send_without_end(std::string_view begin, std::string_view more) {
    const FileDescriptor socket = http_client(begin);
    while (send(socket.get(), more.data(), more.size(), MSG_NOSIGNAL) > 0) {
    }
  }

  static void harm_by_http_clients(std::uint32_t round) {
    std::string ranges = "GET /metrics HTTP/1.1\r\nRange: bytes=0-";
    while (ranges.size() < 7000) {
      ranges += ",0-";
    }
    ranges += "\r\n\r\n";
    std::vector<FileDescriptor> held;
    for (int i = 0; i < 100; i++) {
      held.push_back(http_client(ranges));
    }
    for (int i = 0; i < 300; i++) {
      held.push_back(http_client(i % 2 == 0 ? "" : "GET /metrics HTTP/1.1\r\nHost:"));
    }
    for (int i = 0; i < 20; i++) {
      held.push_back(http_client("GET /metrics HTTP/1.1\r\n\r\n", 2048));
    }
    for (int i = 0; i < 5; i++) {
      send_without_end("GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n");
      send_without_end("GET /metrics HTTP/1.1\r\n", "a: bcdefghijklmnopqrstuvwxyz\r\n");
      send_without_end("GET /", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    }
    std::this_thread::sleep_for(round % 10 == 0 ? 6s : 200ms);
  }

  // --- who is to be told of ----------------------------------------------------------------------------------------

  void call() {
    Hairpin hairpin;
    lab().inside("p1", [&] {
      hairpin.socket = FileDescriptor(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      sockaddr_in own{};
      own.sin_family = AF_INET;
      own.sin_addr.s_addr = htonl(kFirstClient + static_cast<std::uint32_t>(hairpins.size()));
      ASSERT_EQ(bind(hairpin.socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof(own)), 0);
      socklen_t length = sizeof(own);
      ASSERT_EQ(getsockname(hairpin.socket.get(), reinterpret_cast<sockaddr*>(&own), &length), 0);
      hairpin.port = ntohs(own.sin_port);
      sockaddr_in peer{};
      peer.sin_family = AF_INET;
      peer.sin_port = htons(443);
      peer.sin_addr.s_addr = htonl(0x0a000505);
      hairpin.called = Clock::now();
      // It does not wait for the answer.
      ASSERT_EQ(connect(hairpin.socket.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)), -1);
      ASSERT_EQ(errno, EINPROGRESS);
    });
    hairpins.push_back(std::move(hairpin));
  }

  [[nodiscard]] std::size_t told() const {
    const auto lines = reader->lines();
    std::set<std::string> clients;
    for (const auto& line : lines) {
      const Json alert = Json::parse(line.text, nullptr, false);
      if (alert["event"] == "asymmetric_handshake" && number_of(alert["client"]["ip"]) >> 16U == kFirstClient >> 16U) {
        clients.insert(alert["client"]["ip"]);
      }
    }
    return clients.size();
  }

  void expect_true(const Json& alert) const {
    const std::uint32_t client = number_of(alert["client"]["ip"]);
    EXPECT_EQ(alert["load_balancer"]["ip"], "10.0.5.5") << alert;
    EXPECT_EQ(alert["load_balancer"]["service"], "api") << alert;
    if (alert["event"] == "hairpin_exposure") {
      EXPECT_THAT(alert["client"]["pod"], ::testing::StartsWith("web-")) << alert;
      return;
    }
    EXPECT_EQ(alert["cause"], "hairpin_ip_target") << alert;
    EXPECT_TRUE(alert["evidence"]["returned_syn"]) << alert;
    if (client >= kFirstHostile && client < kFirstHostile + pod_thread->hairpins()) {
      EXPECT_EQ(alert["evidence"]["syn_interface"], "veth3") << alert;
      EXPECT_FALSE(alert["client"].contains("pod")) << alert;
      if (!alert["responder"].is_null()) {
        EXPECT_EQ(alert["responder"]["ip"], "10.0.1.20") << alert;
      }
      return;
    }
    ASSERT_GE(client, kFirstClient) << alert;
    ASSERT_LT(client, kFirstClient + hairpins.size()) << alert;
    const std::uint32_t number = client - kFirstClient;
    EXPECT_EQ(alert["client"]["port"], hairpins.at(number).port) << alert;
    EXPECT_EQ(alert["client"].value("pod", ""), number < kNamed ? "web-" + std::to_string(number) : "") << alert;
    EXPECT_EQ(alert["evidence"]["syn_interface"], "veth1") << alert;
    EXPECT_EQ(alert["responder"]["ip"], "10.0.1.20") << alert;
    EXPECT_EQ(alert["responder"]["port"], 8443) << alert;
    EXPECT_EQ(alert["responder"]["kind"], "local_pod") << alert;
    EXPECT_EQ(alert["responder"]["pod"], "api") << alert;
  }

  /// From the moment at which the kernel saw the answer of another than the load balancer.
  void expect_in_time(const SlowReader::Line& line, const Json& alert) {
    const Hairpin& hairpin = hairpins.at(number_of(alert["client"]["ip"]) - kFirstClient);
    const auto mismatch =
        hairpin.called + std::chrono::microseconds(alert["evidence"]["syn_to_synack_us"].get<std::int64_t>());
    const auto readable = reader->reads_from(mismatch);
    const auto taken = line.read - readable;
    const auto owed = witness.lateness(mismatch, line.read);
    slowest = std::max(slowest, taken);
    // Nothing but what this machine was late itself. A reader that rests within the second has it begin anew.
    if (reader->reads_from(mismatch + kToldWithin) == mismatch + kToldWithin) {
      EXPECT_LE(taken, kToldWithin + owed) << alert;
    } else {
      EXPECT_LE(line.read, reader->reads_from(mismatch + kToldWithin) + kToldWithin + owed) << alert;
    }
  }

  std::string directory;
  std::unique_ptr<MemoryCgroup> cgroup;
  std::unique_ptr<ApiServer> api;
  std::unique_ptr<DnsServer> dns;
  std::unique_ptr<SlowReader> reader;
  std::unique_ptr<AgentProcess> agent;
  Witness witness;
  std::vector<Hairpin> hairpins;
  std::unique_ptr<HostilePod> pod_thread;
  std::vector<std::jthread> threads;
  Clock::duration slowest{};
};

TEST_F(SoakTest, EveryHairpinIsToldInTimeAndNothingElse) {
  start_agent();
  pod_thread = std::make_unique<HostilePod>(lab(), 30'000);
  std::atomic<int> healthy = 0;
  std::atomic<int> failed = 0;
  keep_on("node", [this](std::uint32_t round) { harm_by_api_server(round); });
  keep_on("node", [this](std::uint32_t round) { harm_by_resolver(round); });
  keep_on("bystander", harm_by_http_clients);
  keep_on("p1", [&](std::uint32_t) {
    const int complete = complete_requests("10.0.9.9", 8443, 10);
    healthy += complete;
    failed += 10 - complete;
    std::this_thread::sleep_for(100ms);
  });

  const auto until = Clock::now() + duration();
  std::uint64_t most_memory = 0;
  while (Clock::now() < until) {
    call();
    call();
    EXPECT_EQ(agent->get("/healthz").first, 200) << "after " << hairpins.size() << " hairpins";
    most_memory = std::max(most_memory, cgroup->now_bytes());
    std::this_thread::sleep_for(1s);
  }
  EXPECT_TRUE(eventually([&] { return told() == hairpins.size(); })) << told() << " of " << hairpins.size();
  const double evicted = agent->metric("hairpind_events_lost_total{reason=\"undecided_evicted\"}");
  const std::uint64_t sent = pod_thread->sent();
  const std::uint32_t hostile = pod_thread->hairpins();

  std::set<std::string> clients;
  for (const SlowReader::Line& line : reader->lines()) {
    EXPECT_EQ(schema_violations(line.text), "") << line.text;
    const Json alert = Json::parse(line.text, nullptr, false);
    expect_true(alert);
    const std::uint32_t number = number_of(alert["client"]["ip"]) - kFirstClient;
    if (number < hairpins.size() && alert["event"] == "asymmetric_handshake") {
      EXPECT_TRUE(clients.insert(alert["client"]["ip"]).second) << "told twice: " << alert;
      expect_in_time(line, alert);
    }
  }
  EXPECT_GT(healthy, 0);
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(agent->metric("hairpind_events_lost_total{reason=\"alert_dropped\"}"), 0);
  EXPECT_EQ(agent->metric("hairpind_events_lost_total{reason=\"record_invalid\"}"), 0);
  EXPECT_GT(agent->metric("hairpind_spoofed_sources_total"), 0);

  // When they have gone, all is as before.
  stop_all();
  api->set_faults({});
  EXPECT_TRUE(is_synced()) << agent->standard_error();
  EXPECT_EQ(agent->get("/readyz").first, 200);

  EXPECT_EQ(cgroup->killed(), 0);
  EXPECT_EQ(cgroup->limit_met(), 0) << "of " << memory_limit() << " bytes";
  RecordProperty("cgroup", cgroup->version());
  RecordProperty("most_mib", std::to_string(most_memory >> 20U));
  RecordProperty("slowest_ms", std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(slowest).count()));
  std::printf(
      "%zu hairpins told, the slowest after %lld ms; %u of the hostile pod's, %llu packets, %.0f given up; "
      "healthy requests %d; at most %llu MiB in a cgroup of %s\n",
      hairpins.size(), static_cast<long long>(std::chrono::duration_cast<std::chrono::milliseconds>(slowest).count()),
      hostile, static_cast<unsigned long long>(sent), evicted, healthy.load(),
      static_cast<unsigned long long>(most_memory >> 20U), cgroup->version().c_str());
  agent->send_signal(SIGTERM);
  EXPECT_EQ(agent->wait_for_exit(), 0) << agent->standard_error();
}

}  // namespace
}  // namespace hairpind::testing
