// SPDX-License-Identifier: Apache-2.0
// How the agent comes to be: each part is built, and whoever has a say is asked, before anything is attached.
#include <spdlog/spdlog.h>

#include <string>
#include <string_view>
#include <utility>

#include "agent.hpp"
#include "certificate_log.hpp"
#include "least_rights.hpp"
#include "load_options.hpp"
#include "metrics_page.hpp"
#include "node_claim.hpp"
#include "status_page.hpp"

namespace hairpind {
namespace {

// For a person who has found the port. Nothing of it comes from outside.
constexpr std::string_view kLandingPage =
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\">"
    "<title>hairpind</title><style>:root{color-scheme:light dark}body{font:1rem/1.5 sans-serif;margin:2rem}</style>"
    "<h1>hairpind " HAIRPIND_VERSION
    "</h1><p>Watches this node for asymmetric hairpin connections.<ul>"
    "<li><a href=metrics>metrics</a>, for Prometheus"
    "<li><a href=healthz>healthz</a>, <a href=readyz>readyz</a>: probes"
    "<li><a href=v1/status>v1/status</a>: what it knows, for who asks from this node (hairpind status)</ul>";

// Changes of the cluster are taken in together: a rollout is hundreds of them.
constexpr std::chrono::milliseconds kClusterBurst{100};

// In the HTTP server's thread, as the following.
std::optional<KernelCounts> read_counts(const Status& status) {
  return status.counters ? std::optional(KernelCounts::read(*status.counters)) : std::nullopt;
}

MetricsSnapshot read_metrics(const StatusBoard& board, const KernelFeatures& features, AttachMode mode) {
  const Status status = board.read();
  const auto counts = read_counts(status);
  return metrics_of(status, counts ? &*counts : nullptr, features, mode);
}

std::string read_status(const StatusBoard& board, const std::string& node) {
  const Status status = board.read();
  const auto counts = read_counts(status);
  return render_status(status, counts ? &*counts : nullptr, node, EventLoop::now(), std::chrono::system_clock::now());
}

// Empty is none.
Result<void> read_address(const std::string& text, std::optional<ListenAddress>& address) {
  if (text.empty()) {
    return {};
  }
  auto parsed = parse_listen_address(text);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  address = *std::move(parsed);
  return {};
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::start(Configuration configuration) {
  auto sink = AlertSink::open(configuration.alerts);
  if (!sink) {
    return std::unexpected(sink.error());
  }
  auto claim = claim_node();
  if (!claim) {
    return std::unexpected(claim.error());
  }
  auto loop = EventLoop::create();
  if (!loop) {
    return std::unexpected(loop.error());
  }
  std::unique_ptr<Agent> agent(
      new Agent(std::move(configuration), *std::move(loop), *std::move(claim), *std::move(sink)));
  for (const auto step : {&Agent::load, &Agent::settle_down, &Agent::restore_problems, &Agent::start_sources}) {
    if (auto done = (agent.get()->*step)(); !done) {
      return std::unexpected(done.error());
    }
  }
  return agent;
}

Result<void> Agent::load() {
  KernelFeatures features = KernelFeatures::probe();
  if (auto runnable = features.check_required(); !runnable) {
    return runnable;
  }
  const auto attach_mode = choose_attach_mode(configuration_.attach, features);
  if (!attach_mode) {
    return std::unexpected(attach_mode.error());
  }
  const auto reset_sensor = choose_reset_sensor(configuration_.reset_sensor, features);
  if (!reset_sensor) {
    return std::unexpected(reset_sensor.error());
  }
  if (auto listening = start_http(features, *attach_mode); !listening) {
    return listening;
  }
  auto kernel = KernelSide::load(load_options(configuration_, *reset_sensor), *attach_mode, std::move(features),
                                 configuration_.conntrack == "auto");
  if (!kernel) {
    return std::unexpected(kernel.error());
  }
  kernel_ = *std::move(kernel);
  board_.publish(kernel_->counters);
  const LoadOutcome& loaded = kernel_->programs->outcome();
  board_.publish(loaded);
  for (const std::string& lost : loaded.lost) {
    spdlog::warn("{}", lost);
  }
  const KernelMemory memory = kernel_->programs->memory();
  const auto limit = memory_limit();
  spdlog::info("{}", describe(memory, limit));
  if (may_fall_short(memory, limit)) {
    spdlog::warn("{}", kMemoryShort);
  }
  conntrack_ = std::make_unique<ConntrackBackends>(ConntrackBackends::Options{
      .kernel = loaded.conntrack_in_kernel,
      .await_module = configuration_.conntrack == "auto" && !kernel_->features.has(Feature::kConntrackKfunc),
      .cilium_bpffs = configuration_.cilium_bpffs});
  watch_list_ = std::make_unique<WatchList>(kernel_->frontends, configuration_.load_balancers);
  reporter_ = std::make_unique<IncidentReporter>(
      IncidentReporter::Kernel{
          .read_count = [this](const IncidentKey& key) { return kernel_->counters->read_incident_count(key); },
          .ask_conntrack = [this](const Attempt& attempt) { return conntrack_->ask(attempt); },
          .answer_conntrack =
              [this](const Attempt& asked, const ConntrackAnswer& answer) {
                return kernel_->settler.set_conntrack(asked, answer);
              }},
      configuration_.repeat_interval ? IncidentTracker::Options{.repeat_intervals = {*configuration_.repeat_interval}}
                                     : IncidentTracker::Options{});
  evidence_ = std::make_unique<EvidenceWatch>(EvidenceWatch::Kernel{
      .read_count = [this](const IncidentKey& key) { return kernel_->counters->read_incident_count(key); },
      .ask_conntrack = [this](const Attempt& attempt) { return conntrack_->ask(attempt); },
      .set_captures = [this](const CallingPair& pair,
                             std::uint32_t attempts) { return kernel_->captures.set(pair, attempts); }});
  return {};
}

Result<void> Agent::start_http(const KernelFeatures& features, AttachMode attach_mode) {
  HttpServer::Listeners listeners;
  if (auto wrong = read_address(configuration_.listen, listeners.pages); !wrong) {
    return wrong;
  }
  if (auto wrong = read_address(configuration_.health_listen, listeners.probes); !wrong) {
    return wrong;
  }
  if (!listeners.pages && !listeners.probes) {
    return {};
  }
  std::shared_ptr<CertificateLog> certificate;
  if (!configuration_.tls_cert_file.empty()) {
    certificate = std::make_shared<CertificateLog>(configuration_.tls_cert_file);
    listeners.tls = {.certificate = configuration_.tls_cert_file, .key = configuration_.tls_key_file};
  }
  const auto metrics = [&board = board_, features, attach_mode, certificate] {
    MetricsSnapshot snapshot = read_metrics(board, features, attach_mode);
    if (certificate) {
      snapshot.tls_certificate_current = certificate->current();
    }
    return render_metrics(snapshot);
  };
  auto server = HttpServer::listen(
      listeners, {.metrics = metrics,
                  .status = [&board = board_, node = configuration_.node_name] { return read_status(board, node); },
                  .healthy = [&board = board_] { return is_healthy(board.read(), EventLoop::now()); },
                  .ready = [&board = board_] { return is_ready(board.read(), EventLoop::now()); },
                  .certificate = [certificate](const Result<std::string>& read) { (*certificate)(read); },
                  .landing = std::string(kLandingPage)});
  if (!server) {
    return std::unexpected(server.error());
  }
  http_ = *std::move(server);
  return {};
}

// Before any other thread: what a thread may do is its own.
Result<void> Agent::settle_down() {
  const RightsLeft left = give_up_rights(rights_needed(configuration_));
  for (const std::string& kept : left.lost) {
    spdlog::warn("{}", kept);
  }
  spdlog::info("{}", describe(left));
  if (http_) {
    http_->serve();
  }
  return {};
}

Result<void> Agent::start_sources() {
  auto devices = NodeDevices::create(configuration_, *kernel_, *loop_, board_);
  if (!devices) {
    return std::unexpected(devices.error());
  }
  devices_ = *std::move(devices);
  auto cluster = InCluster::follow(
      configuration_, [this] { loop_->post([this] { loop_->after(kClusterBurst, [this] { on_cluster_news(); }); }); });
  if (!cluster) {
    return std::unexpected(cluster.error());
  }
  cluster_ = *std::move(cluster);
  Resolver::Options servers;
  servers.cluster_servers = configuration_.cluster_dns;
  auto resolver = Resolver::start(
      std::move(servers),
      [this](Resolution resolution) {
        loop_->post([this, resolution = std::move(resolution)] { on_resolution(resolution); });
      },
      [](const std::string& name, const std::string& why) {
        spdlog::warn("load balancer {}: {}; keeping what is known, trying again", name, why);
      });
  if (!resolver) {
    return std::unexpected(resolver.error());
  }
  resolver_ = *std::move(resolver);
  resolver_->change_names(watch_list_->hosts());
  if (cluster_) {
    board_.publish_synced(false);
  }
  if (auto watched = loop_->on_readable(kernel_->ring.fd(), [this] { on_records(); }); !watched) {
    return watched;
  }
  if (auto watched = loop_->on_readable(devices_->fd(), [this] { devices_->on_network(); }); !watched) {
    return watched;
  }
  if (configuration_.load_balancers.empty() && !cluster_) {
    spdlog::info(
        "no load balancer is configured and this is no Kubernetes pod: one is found by the first SYN that it sends "
        "back. "
        "Give --lb, or --kubeconfig, to have its good connections counted before");
  }
  for (const FeatureStatus& status : kernel_->features.all()) {
    // Another sensor in the probes' place is no loss.
    const bool replaced =
        status.feature == Feature::kKprobes && kernel_->programs->outcome().reset_sensor != ResetSensor::kNone;
    if (!status.present && !replaced) {
      spdlog::warn("kernel feature {} is absent: {}", status.name, status.without);
    }
  }
  return {};
}

}  // namespace hairpind
