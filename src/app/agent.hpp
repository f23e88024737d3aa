// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "alert_writer.hpp"
#include "configuration.hpp"
#include "conntrack_backends.hpp"
#include "event_loop.hpp"
#include "evidence_watch.hpp"
#include "fault.hpp"
#include "hairpind/bpf/kernel_side.hpp"
#include "hairpind/net/resolver.hpp"
#include "hairpind/output/http_server.hpp"
#include "in_cluster.hpp"
#include "incident_reporter.hpp"
#include "learned_load_balancers.hpp"
#include "node_devices.hpp"
#include "problem_file.hpp"
#include "problem_watch.hpp"
#include "status_board.hpp"
#include "watch_list.hpp"

namespace hairpind {

/// The running agent: builds the parts, carries values between them, stops them. What is to be done is theirs.
///
/// Owns: all parts. Threads: the loop's, in which all parts live; the HTTP server's, which sees the status board only;
/// the resolver's and the Kubernetes watches', which post to the loop.
class Agent {
 public:
  /// Everything that can be refused is refused here, with one line that says what and why. Nothing is on any device
  /// yet.
  static Result<std::unique_ptr<Agent>> start(Configuration configuration);
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  /// Attaches, and works until SIGTERM or SIGINT; then detaches, tells what is still to be told and ends the threads.
  /// False where one of these hangs on its peer: then the process is to be left by std::_Exit, not by destroying this.
  Result<bool> run();

 private:
  /// What the loop will do, or has done, without being asked again.
  struct Scheduled {
    bool slow_reader = false;
    Fault settling;
    std::optional<SinceBoot> deadline;
  };

  Agent(Configuration configuration, std::unique_ptr<EventLoop> loop, FileDescriptor claim, AlertSink sink);
  Result<void> load();
  Result<void> start_http(const KernelFeatures& features, AttachMode attach_mode);
  Result<void> settle_down();
  Result<void> start_sources();

  void begin();
  void on_signal(int signal);
  void on_records();
  void on_resolution(const Resolution& resolution);
  void on_cluster_news();
  void tick();
  void settle();
  void count();
  void look_for_exposures();
  Result<void> restore_problems();
  void keep_problems(bool at_once);
  void look_at_problems(const std::vector<IncidentCount>& incidents, const std::vector<LoadBalancerCounters>& rows);

  void announce() const;
  void give_back_rows();
  void change_names_and_frontends();
  void follow_frontends();
  void tell_due();
  void write(const std::vector<Alert>& alerts);
  [[nodiscard]] AlertSources alert_sources() const;

  bool stop();
  void tell_the_rest();

  const Configuration configuration_;
  const std::unique_ptr<EventLoop> loop_;
  const FileDescriptor claim_;
  StatusBoard board_;
  std::unique_ptr<KernelSide> kernel_;
  std::unique_ptr<ConntrackBackends> conntrack_;
  std::unique_ptr<NodeDevices> devices_;
  std::unique_ptr<WatchList> watch_list_;
  LearnedLoadBalancers learned_;
  std::unique_ptr<IncidentReporter> reporter_;
  std::unique_ptr<EvidenceWatch> evidence_;
  ProblemWatch problems_;
  std::optional<ProblemFile> problem_file_;  ///< nothing: no --state-directory
  AlertWriter alerts_;
  Scheduled scheduled_;
  // Last, so that their threads end before what they post to is gone.
  std::unique_ptr<InCluster> cluster_;  ///< null: no Kubernetes
  std::unique_ptr<Resolver> resolver_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace hairpind
