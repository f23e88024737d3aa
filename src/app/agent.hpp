// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "configuration.hpp"
#include "conntrack_backends.hpp"
#include "hairpind/bpf/datapath.hpp"
#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/core/cluster.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/core/incident_tracker.hpp"
#include "hairpind/core/mismatch_ledger.hpp"
#include "hairpind/kube/cluster_watch.hpp"
#include "hairpind/net/interface_monitor.hpp"
#include "hairpind/net/resolver.hpp"
#include "hairpind/output/alert_sink.hpp"
#include "hairpind/output/http_server.hpp"
#include "hairpind/output/metrics.hpp"

namespace hairpind {

/// The running agent: one event loop that owns all state.
///
/// Threads: the loop; the HTTP server's, which read the kernel's counters and what the loop publishes under
/// `published_mutex_`; the resolver's, which hands over resolutions under `resolutions_mutex_`; the Kubernetes
/// watches', which keep their changes until the loop takes them.
class Agent {
 public:
  /// Everything that can be refused is refused here, with one line that says what and why.
  static Result<std::unique_ptr<Agent>> start(Configuration configuration);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Runs until SIGTERM or SIGINT; everything is detached when the Agent is destroyed.
  Result<void> run();

 private:
  /// What the cluster's names make of the kernel's counters, as of the last tick.
  struct NamedCounts {
    std::map<Endpoint, std::string> services;  ///< "namespace/name" by load balancer with counters; "" if not known
    MismatchCounts mismatches;
  };
  struct Published {
    std::map<AlertEvent, std::uint64_t> alerts;
    std::uint64_t records_invalid = 0;
    std::uint64_t alerts_dropped = 0;
    std::uint64_t pods_attached = 0;
    std::uint64_t uplinks_attached = 0;
    std::uint64_t attach_failures = 0;
    bool kubernetes_synced = false;
    std::map<std::string, std::uint64_t> exposed_pairs;
    std::shared_ptr<const NamedCounts> named = std::make_shared<NamedCounts>();  ///< in Kubernetes only
  };

  Agent(Configuration configuration, KernelFeatures features, AttachMode attach_mode, AlertSink sink);

  Result<void> open_loop();
  Result<void> start_http();
  Result<void> start_kubernetes();
  Result<void> start_resolver();
  Result<void> watch(int fd) const;

  bool handle_signal();  ///< false: stop
  void handle_events();
  void answer(const Attempt& asked);
  void handle_interfaces();
  void handle_resolutions();
  void handle_cluster();
  void tick();

  void apply_interfaces();
  void remove_leftovers() const;
  void look_after_filters();
  std::set<Frontend> configured_frontends() const;
  void apply_frontends();      ///< all of them
  void apply_watch_changes();  ///< what the cluster changed of them
  void note_frontends(const Result<void>& written);
  void book_mismatches(const std::vector<IncidentCount>& incidents);
  void look_for_exposures();
  void attach(const Device& device, const std::string& name);
  void warn_of_unmatched_globs();
  void follow_conntrack();
  void flush_due_alerts();
  void arm_deadline();
  void note_sink(const Result<void>& result);
  void publish();

  MetricsSnapshot snapshot() const;
  bool healthy() const;
  static MonotonicTime now();
  static std::chrono::nanoseconds boot_to_wall();

  const Configuration configuration_;
  const KernelFeatures features_;
  AlertSink sink_;
  std::unique_ptr<Datapath> datapath_;
  std::unique_ptr<InterfaceMonitor> monitor_;
  IncidentTracker tracker_;
  std::optional<ConntrackBackends> conntrack_;  ///< once the programs are loaded

  FileDescriptor epoll_;
  FileDescriptor signals_;
  FileDescriptor tick_timer_;
  FileDescriptor deadline_timer_;
  FileDescriptor resolved_;         ///< eventfd: resolutions_ has news
  FileDescriptor cluster_changed_;  ///< eventfd: cluster_watch_ has news
  FileDescriptor cluster_timer_;    ///< gathers a burst of them

  std::set<Frontend> fixed_frontends_;
  std::set<std::string> fixed_hosts_;
  std::map<std::string, std::set<IpAddress>> resolved_hosts_;  ///< of fixed_hosts_
  Cluster cluster_;
  std::map<Endpoint, std::string> lb_services_;  ///< the newest Service of each load balancer, kept when it is gone
  MismatchLedger ledger_;
  const AttachMode attach_mode_;
  bool attach_left_ = false;                  ///< apply_interfaces has more to attach, in the next turn
  std::set<std::uint32_t> attach_failed_;     ///< logged once; tried again at each tick
  std::set<std::uint32_t> filters_changed_;   ///< devices, looked at in the next tick
  std::vector<std::string> unmatched_globs_;  ///< warned of
  bool sink_failing_ = false;
  MonotonicTime next_exposure_look_{};
  std::set<std::string> exposure_told_;  ///< Services that have been warned of
  bool sweep_failing_ = false;
  bool frontends_failed_ = false;
  bool answers_failing_ = false;
  Published current_;

  mutable std::mutex published_mutex_;
  Published published_;
  std::mutex resolutions_mutex_;
  std::vector<Resolution> resolutions_;
  std::atomic<bool> ready_{false};
  std::atomic<std::int64_t> last_turn_ns_{0};
  std::atomic<std::uint64_t> pending_{0};

  // Last, so that their threads end before what they read is gone.
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<ClusterWatch> cluster_watch_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace hairpind
