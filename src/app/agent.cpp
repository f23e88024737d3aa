// SPDX-License-Identifier: Apache-2.0
#include "agent.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <set>
#include <utility>

namespace hairpind {
namespace {

constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::seconds kExposureInterval{10};
constexpr std::chrono::seconds kNeighboursInterval{10};
// A controller has put another pod in the place of one that is gone by then, wherever.
constexpr std::chrono::seconds kPodInItsPlace{5};

std::set<IpAddress> addresses_of(const std::set<Frontend>& frontends) {
  std::set<IpAddress> addresses;
  for (const Frontend& frontend : frontends) {
    addresses.insert(frontend.address);
  }
  return addresses;
}

}  // namespace

Agent::Agent(Configuration configuration, std::unique_ptr<EventLoop> loop, FileDescriptor claim, AlertSink sink)
    : configuration_(std::move(configuration)),
      loop_(std::move(loop)),
      claim_(std::move(claim)),
      problems_(
          {.quiet_after = configuration_.quiet_after, .settle = configuration_.handshake_timeout + kPodInItsPlace}),
      alerts_(std::move(sink), configuration_.alerts) {}

void Agent::begin() {
  devices_->begin(addresses_of(kernel_->frontends.watched()), [this] { announce(); });
  tick();
  loop_->every(kTick, [this] { tick(); });
  loop_->every(kNeighboursInterval, [this] {
    devices_->look_at_neighbours();
    give_back_rows();
  });
  if (cluster_) {
    loop_->every(kExposureInterval, [this] { look_for_exposures(); });
  }
}

Result<bool> Agent::run() {
  loop_->on_signal([this](int signal) { on_signal(signal); });
  loop_->post([this] { begin(); });
  const auto ran = loop_->run();
  const bool ended = stop();
  return ran ? Result<bool>(ended) : std::unexpected(ran.error());
}

void Agent::on_signal(int signal) {
  if (signal == SIGHUP) {
    alerts_.reopen();
    return;
  }
  spdlog::info("received SIG{}: detaching and leaving", sigabbrev_np(signal));
  loop_->stop();
}

void Agent::on_records() {
  bool learned = false;
  const auto polled = kernel_->ring.poll(
      [&](const Event& event) {
        // A question is of what may be as it should.
        if (cluster_ && event.kind != EventKind::kConntrack) {
          cluster_->look_up(event.attempt);
        }
        if (event.kind == EventKind::kLearned) {
          watch_list_->on_learned(learned_.on_learned(event.attempt, EventLoop::now()));
          learned = true;
        } else {
          reporter_->on_event(event, EventLoop::now());
          evidence_->on_event(event, EventLoop::now());
        }
      },
      [&](CapturedPacket packet) { evidence_->on_packet(std::move(packet), EventLoop::now()); });
  if (!polled) {
    spdlog::error("{}", polled.error().message);
  }
  if (learned) {
    follow_frontends();
  }
  if (cluster_) {
    cluster_->ask(reporter_->take_identities(), EventLoop::now());
  }
  tell_due();
}

void Agent::on_resolution(const Resolution& resolution) {
  spdlog::debug("load balancer {}: {} addresses", resolution.name, resolution.addresses.size());
  watch_list_->on_resolution(resolution);
  if (cluster_) {
    cluster_->sync.on_resolution(resolution);
  }
  change_names_and_frontends();
}

void Agent::on_cluster_news() {
  cluster_->take(EventLoop::now());
  change_names_and_frontends();
  devices_->set_pods(cluster_->sync.cluster().pod_addresses());
  cluster_->sync.set_further_addresses(devices_->further_addresses());
  board_.publish_synced(cluster_->sync.synced());
}

void Agent::change_names_and_frontends() {
  if (cluster_) {
    const WatchChanges changes = cluster_->sync.take_watch_changes(watch_list_->hosts());
    if (!changes.new_hostnames.empty() || !changes.old_hostnames.empty()) {
      resolver_->change_names(changes.new_hostnames, changes.old_hostnames);
    }
    watch_list_->on_cluster(changes);
  }
  follow_frontends();
}

void Agent::follow_frontends() {
  devices_->set_load_balancers(addresses_of(kernel_->frontends.watched()));
  board_.publish(watch_list_->status());
}

void Agent::tick() {
  board_.publish_turn(EventLoop::now());
  conntrack_->refresh();
  kernel_->variables.set_ask_conntrack(conntrack_->available());
  kernel_->variables.set_beside_cilium(conntrack_->beside_cilium());
  devices_->on_turn(conntrack_->beside_cilium());
  if (cluster_) {
    cluster_->sync.set_further_addresses(devices_->further_addresses());
  }
  settle();
  // The sweep's questions, answered before the next one.
  on_records();
  evidence_->on_turn(EventLoop::now());
  count();
  watch_list_->retry();
  board_.publish(watch_list_->status());
  write({});
}

void Agent::announce() const {
  for (const std::string& line : devices_->roles()) {
    spdlog::info("{}", line);
  }
  const AttachStatus attached = devices_->status();
  spdlog::info("hairpind {} on node {}: pod interfaces {}, uplinks {}, attach {}, conntrack {}, resets {}",
               HAIRPIND_VERSION, configuration_.node_name, attached.pods, attached.uplinks,
               to_string(kernel_->attach_mode), conntrack_->describe(),
               to_string(kernel_->programs->outcome().reset_sensor));
}

void Agent::give_back_rows() {
  if (const auto looked = kernel_->rows.look(kernel_->frontends.watched(), EventLoop::now()); !looked) {
    spdlog::error("{}", looked.error().message);
  }
}

void Agent::settle() {
  if (const auto undecided = kernel_->settler.sweep(EventLoop::now()); undecided) {
    board_.publish_pending(*undecided);
    static_cast<void>(scheduled_.settling.ends());
  } else if (scheduled_.settling.begins()) {
    spdlog::error("{}; handshakes that nobody answers are not counted", undecided.error().message);
  }
}

void Agent::count() {
  const auto incidents = kernel_->counters->read_incidents();
  if (!incidents) {
    spdlog::error("{}", incidents.error().message);
    return;
  }
  auto rows = kernel_->counters->read_load_balancers();
  if (rows) {
    if (const LearnedChanges unused = learned_.on_counts(*rows, EventLoop::now()); !unused.removed.empty()) {
      watch_list_->on_learned(unused);
      follow_frontends();
    }
  }
  const std::vector<IncidentKey> idle = reporter_->on_counts(*incidents, EventLoop::now());
  if (rows) {
    look_at_problems(*incidents, *rows);
    if (cluster_) {
      cluster_->books.book(*incidents, *std::move(rows), *problems_.status(), cluster_->sync.cluster());
    }
  }
  for (const IncidentKey& incident : idle) {
    kernel_->incidents.forget(incident);
    if (cluster_) {
      cluster_->books.forget(incident);
    }
  }
  if (cluster_) {
    board_.publish(cluster_->books.named());
  }
  tell_due();
}

void Agent::look_for_exposures() {
  auto callers = kernel_->counters->read_callers();
  auto incidents = kernel_->counters->read_incidents();
  auto rows = kernel_->counters->read_load_balancers();
  if (callers && incidents && rows) {
    write(cluster_->exposure.look(
        {.callers = *std::move(callers), .incidents = *std::move(incidents), .load_balancers = *std::move(rows)},
        *problems_.status(), cluster_->sync.cluster(), EventLoop::now(), std::chrono::system_clock::now()));
    board_.publish_exposed(cluster_->exposure.pairs());
  }
}

}  // namespace hairpind
