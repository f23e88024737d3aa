// SPDX-License-Identifier: Apache-2.0
#include "agent.hpp"

#include <malloc.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "hairpind/core/exposure.hpp"
#include "hairpind/core/preservation.hpp"
#include "hairpind/core/verdict.hpp"
#include "hairpind/output/alert_json.hpp"

namespace hairpind {
namespace {

constexpr std::chrono::seconds kTick{1};
// The loop turns once a tick; ten missed ones are a stall, not a busy moment.
constexpr std::chrono::seconds kStalled{10};
// The kernel's table of incidents is bounded; one that has been quiet for a day starts over when it comes back.
constexpr std::chrono::hours kIncidentIdle{24};
// Alerts wait for a pipe's reader. Polled, since a file in its place could not be watched by epoll.
constexpr int kSlowReaderMilliseconds = 20;
// Attaching a TCX link waits for an RCU grace period, 10 to 30 ms: a burst of pods must not hold up alerts for seconds.
constexpr std::chrono::milliseconds kAttachingPerTurn{50};
// Changes of the cluster are taken in together: a rollout is hundreds of them.
constexpr std::chrono::milliseconds kClusterBurst{100};
constexpr std::chrono::seconds kExposureInterval{10};
// A client that has not called for so long may have been told not to.
constexpr std::chrono::hours kCallerIdle{1};
constexpr std::size_t kExposedServices = 200;

timespec to_timespec(std::chrono::nanoseconds time) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(time);
  return {.tv_sec = seconds.count(), .tv_nsec = (time - seconds).count()};
}

Result<FileDescriptor> make_timer(std::chrono::nanoseconds interval) {
  FileDescriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  const itimerspec spec{.it_interval = to_timespec(interval), .it_value = to_timespec(interval)};
  if (timer.get() < 0 || timerfd_settime(timer.get(), 0, &spec, nullptr) != 0) {
    return fail_errno("create a timer", errno);
  }
  return timer;
}

// Once, unless it is running already: a burst that goes on must not put it off for ever.
void arm(int timer, std::chrono::nanoseconds after) {
  itimerspec running{};
  timerfd_gettime(timer, &running);
  if (running.it_value.tv_sec == 0 && running.it_value.tv_nsec == 0) {
    const itimerspec spec{.it_interval = {}, .it_value = to_timespec(after)};
    timerfd_settime(timer, 0, &spec, nullptr);
  }
}

void drain(int fd) {
  std::uint64_t value = 0;
  // Level-triggered: what is left is reported again.
  [[maybe_unused]] const auto bytes = read(fd, &value, sizeof(value));
}

bool asks_in_kernel(const Configuration& configuration, const KernelFeatures& features) {
  return configuration.conntrack == "auto" && features.has(Feature::kConntrackKfunc);
}

LoadBalancerMetrics to_metrics(const Endpoint& load_balancer, const hp_lb_counters& counters) {
  LoadBalancerMetrics metrics;
  metrics.load_balancer = load_balancer;
  metrics.syns = counters.syns;
  metrics.syn_retransmits = counters.syn_retransmits;
  metrics.answered = counters.answered;
  metrics.mismatched = counters.mismatched;
  metrics.refused = counters.refused;
  metrics.unanswered = counters.unanswered;
  metrics.translations = counters.translations;
  std::ranges::copy(counters.latencies, metrics.latencies.begin());
  metrics.latency_sum = std::chrono::nanoseconds(counters.latency_ns);
  return metrics;
}

}  // namespace

MonotonicTime Agent::now() {
  return std::chrono::duration_cast<MonotonicTime>(std::chrono::steady_clock::now().time_since_epoch());
}

std::chrono::nanoseconds Agent::boot_to_wall() {
  return std::chrono::system_clock::now().time_since_epoch() - now();
}

Agent::Agent(Configuration configuration, KernelFeatures features, AttachMode attach_mode, AlertSink sink)
    : configuration_(std::move(configuration)),
      features_(std::move(features)),
      sink_(std::move(sink)),
      tracker_({.repeat_interval = configuration_.repeat_interval}),
      attach_mode_(attach_mode) {}

Agent::~Agent() = default;

Result<std::unique_ptr<Agent>> Agent::start(Configuration configuration) {
  auto features = KernelFeatures::probe();
  if (auto runnable = features.check_required(); !runnable) {
    return std::unexpected(runnable.error());
  }
  const auto attach_mode = choose_attach_mode(configuration.attach, features);
  if (!attach_mode) {
    return std::unexpected(attach_mode.error());
  }
  const auto reset_sensor = choose_reset_sensor(configuration.reset_sensor, features);
  if (!reset_sensor) {
    return std::unexpected(reset_sensor.error());
  }
  auto sink = AlertSink::open(configuration.alerts);
  if (!sink) {
    return std::unexpected(sink.error());
  }
  std::unique_ptr<Agent> agent(
      new Agent(std::move(configuration), std::move(features), *attach_mode, *std::move(sink)));
  if (auto opened = agent->open_loop(); !opened) {
    return std::unexpected(opened.error());
  }
  // Before anything is logged or attached: an address in use is a second agent, most likely.
  if (auto listening = agent->start_http(); !listening) {
    return std::unexpected(listening.error());
  }

  const Configuration& options = agent->configuration_;
  bool prefixes = false;
  for (const LoadBalancerSpec& spec : options.load_balancers) {
    if (const auto* const frontend = std::get_if<Frontend>(&spec)) {
      agent->fixed_frontends_.insert(*frontend);
      prefixes = prefixes || frontend->is_prefix();
    } else {
      agent->fixed_hosts_.insert(std::get<HostName>(spec).name);
    }
  }
  auto datapath =
      Datapath::load({.pending_syns = options.pending_syns,
                      .handshake_timeout = options.handshake_timeout,
                      .ring_bytes = options.ring_bytes,
                      .prefixes = prefixes,
                      .attach_mode = *attach_mode,
                      .reset_sensor = *reset_sensor},
                     asks_in_kernel(options, agent->features_) ? agent->features_
                                                               : agent->features_.without(Feature::kConntrackKfunc));
  if (!datapath) {
    return std::unexpected(datapath.error());
  }
  agent->datapath_ = *std::move(datapath);
  const LoadOutcome& loaded = agent->datapath_->outcome();
  for (const std::string& lost : loaded.lost) {
    spdlog::warn("{}", lost);
  }
  agent->conntrack_.emplace(ConntrackBackends::Options{
      .kernel = loaded.conntrack_in_kernel,
      .await_module = options.conntrack == "auto" && !agent->features_.has(Feature::kConntrackKfunc),
      .cilium_bpffs = options.cilium_bpffs});
  auto monitor = InterfaceMonitor::create(*attach_mode == AttachMode::kClsact);
  if (!monitor) {
    return std::unexpected(monitor.error());
  }
  agent->monitor_ = std::make_unique<InterfaceMonitor>(*std::move(monitor));
  for (const int fd : {agent->datapath_->event_fd(), agent->monitor_->fd()}) {
    if (auto watched = agent->watch(fd); !watched) {
      return std::unexpected(watched.error());
    }
  }
  agent->follow_conntrack();
  agent->apply_frontends();
  agent->remove_leftovers();
  agent->apply_interfaces();
  while (agent->attach_left_) {
    // What has vanished meanwhile would be tried for ever.
    agent->handle_interfaces();
    agent->apply_interfaces();
  }
  if (auto started = agent->start_resolver(); !started) {
    return std::unexpected(started.error());
  }
  if (auto started = agent->start_kubernetes(); !started) {
    return std::unexpected(started.error());
  }
  if (options.load_balancers.empty() && !agent->cluster_watch_) {
    spdlog::warn(
        "no load balancer is configured and this is no Kubernetes pod, so there is nothing to watch for: "
        "give at least one --lb, or --kubeconfig");
  }
  for (const FeatureStatus& status : agent->features_.all()) {
    if (!status.present) {
      spdlog::warn("kernel feature {} is absent: {}", status.name, status.without);
    }
  }
  spdlog::info("hairpind {} on node {}: pod interfaces {}, uplinks {}, attach {}, conntrack {}, resets {}",
               HAIRPIND_VERSION, options.node_name, agent->current_.pods_attached, agent->current_.uplinks_attached,
               to_string(*attach_mode), agent->conntrack_->describe(), to_string(loaded.reset_sensor));
  agent->publish();
  // The kernel's type information, megabytes of it, was parsed to load; give the memory back.
  malloc_trim(0);
  return agent;
}

Result<void> Agent::watch(int fd) const {
  epoll_event event{.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    return fail_errno("watch a file descriptor with epoll", errno);
  }
  return {};
}

Result<void> Agent::open_loop() {
  sigset_t handled;
  sigemptyset(&handled);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&handled, signal);
  }
  // Blocked before any thread starts, so that every thread inherits it and only the signalfd sees them.
  pthread_sigmask(SIG_BLOCK, &handled, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  epoll_ = FileDescriptor(epoll_create1(EPOLL_CLOEXEC));
  signals_ = FileDescriptor(signalfd(-1, &handled, SFD_NONBLOCK | SFD_CLOEXEC));
  resolved_ = FileDescriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  cluster_changed_ = FileDescriptor(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (epoll_.get() < 0 || signals_.get() < 0 || resolved_.get() < 0 || cluster_changed_.get() < 0) {
    return fail_errno("open the event loop's file descriptors", errno);
  }
  auto tick = make_timer(kTick);
  auto deadline = make_timer({});
  auto cluster = make_timer({});
  for (const auto* const timer : {&tick, &deadline, &cluster}) {
    if (!*timer) {
      return std::unexpected(timer->error());
    }
  }
  tick_timer_ = *std::move(tick);
  deadline_timer_ = *std::move(deadline);
  cluster_timer_ = *std::move(cluster);
  for (const int fd : {signals_.get(), resolved_.get(), cluster_changed_.get(), tick_timer_.get(),
                       deadline_timer_.get(), cluster_timer_.get()}) {
    if (auto watched = watch(fd); !watched) {
      return watched;
    }
  }
  return {};
}

Result<void> Agent::start_http() {
  if (configuration_.listen.empty()) {
    return {};
  }
  auto address = parse_listen_address(configuration_.listen);
  if (!address) {
    return std::unexpected(address.error());
  }
  auto server = HttpServer::start(address->first, address->second,
                                  {.metrics = [this] { return render_metrics(snapshot()); },
                                   .healthy = [this] { return healthy(); },
                                   .ready = [this] { return ready_.load() && healthy(); }});
  if (!server) {
    return std::unexpected(server.error());
  }
  http_ = *std::move(server);
  return {};
}

Result<void> Agent::start_resolver() {
  auto resolver = Resolver::start(
      {},
      [this](Resolution resolution) {
        {
          const std::scoped_lock lock(resolutions_mutex_);
          resolutions_.push_back(std::move(resolution));
        }
        eventfd_write(resolved_.get(), 1);
      },
      [](const std::string& name, const std::string& why) {
        spdlog::warn("load balancer {}: {}; keeping what is known, trying again", name, why);
      });
  if (!resolver) {
    return std::unexpected(resolver.error());
  }
  resolver_ = *std::move(resolver);
  resolver_->change_names(fixed_hosts_);
  return {};
}

Result<void> Agent::start_kubernetes() {
  const bool in_pod = std::getenv("KUBERNETES_SERVICE_HOST") != nullptr;
  if (configuration_.kubeconfig.empty() && !in_pod) {
    return {};
  }
  auto access = configuration_.kubeconfig.empty() ? in_cluster_access(kServiceAccountDirectory)
                                                  : kubeconfig_access(configuration_.kubeconfig);
  if (!access) {
    // Asked for by name it must work; a pod without a service account may be meant so.
    if (!configuration_.kubeconfig.empty()) {
      return std::unexpected(access.error());
    }
    spdlog::warn("{}; going on with the configured load balancers and without names", access.error().message);
    return {};
  }
  auto watch = ClusterWatch::start(
      *access, configuration_.node_name, [this] { eventfd_write(cluster_changed_.get(), 1); },
      [](const std::string& resource, const std::string& why) {
        if (why.empty()) {
          spdlog::info("Kubernetes: {} are in step again", resource);
        } else {
          spdlog::warn("Kubernetes: {}; keeping the last view, trying again", why);
        }
      });
  if (!watch) {
    return std::unexpected(watch.error());
  }
  cluster_watch_ = *std::move(watch);
  spdlog::info("Kubernetes: following {} as node {}", access->url(), configuration_.node_name);
  return {};
}

Result<void> Agent::run() {
  last_turn_ns_ = now().count();
  ready_ = true;
  for (;;) {
    std::array<epoll_event, 8> ready{};
    const int patience = sink_.blocked() ? kSlowReaderMilliseconds : -1;
    const int count = epoll_wait(epoll_.get(), ready.data(), ready.size(), attach_left_ ? 0 : patience);
    if (count < 0 && errno != EINTR) {
      return fail_errno("wait for events", errno);
    }
    last_turn_ns_ = now().count();
    for (const epoll_event& event : std::span(ready).first(static_cast<std::size_t>(std::max(count, 0)))) {
      if (event.data.fd == signals_.get()) {
        if (!handle_signal()) {
          return {};
        }
      } else if (event.data.fd == datapath_->event_fd()) {
        handle_events();
      } else if (event.data.fd == monitor_->fd()) {
        handle_interfaces();
      } else if (event.data.fd == resolved_.get()) {
        handle_resolutions();
      } else if (event.data.fd == cluster_changed_.get()) {
        drain(cluster_changed_.get());
        arm(cluster_timer_.get(), kClusterBurst);
      } else if (event.data.fd == cluster_timer_.get()) {
        handle_cluster();
      } else if (event.data.fd == tick_timer_.get()) {
        tick();
      } else {
        drain(deadline_timer_.get());
      }
    }
    if (attach_left_) {
      apply_interfaces();
    }
    if (sink_.blocked()) {
      note_sink(sink_.retry());
    }
    flush_due_alerts();
    arm_deadline();
    publish();
  }
}

bool Agent::handle_signal() {
  signalfd_siginfo info{};
  while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo != SIGHUP) {
      spdlog::info("received SIG{}: detaching and leaving", sigabbrev_np(static_cast<int>(info.ssi_signo)));
      return false;
    }
    const auto reopened = sink_.reopen();
    if (reopened) {
      spdlog::info("reopened the alert stream {}", configuration_.alerts);
    } else {
      spdlog::error("{}", reopened.error().message);
    }
  }
  return true;
}

void Agent::handle_events() {
  const auto polled = datapath_->poll([&](std::span<const std::byte> record) {
    const auto event = decode_event(record);
    if (!event) {
      if (current_.records_invalid++ == 0) {
        spdlog::warn("ring buffer: {}; ignored, counted in hairpind_events_lost_total{{reason=\"record_invalid\"}}",
                     event.error());
      }
      return;
    }
    if (event->kind == EventKind::kConntrack) {
      answer(event->attempt);
    } else {
      tracker_.on_event(*event, now());
    }
  });
  if (!polled) {
    spdlog::error("{}", polled.error().message);
  }
}

void Agent::answer(const Attempt& asked) {
  const ConntrackAnswer answer = conntrack_->ask(asked);
  if (const auto set = datapath_->set_conntrack(asked, answer); set) {
    answers_failing_ = false;
  } else if (!std::exchange(answers_failing_, true)) {
    spdlog::error("{}; legitimate translations may be taken for mismatches", set.error().message);
  }
}

void Agent::follow_conntrack() {
  conntrack_->refresh();
  datapath_->set_ask_conntrack(conntrack_->available());
}

void Agent::handle_interfaces() {
  const auto changed = monitor_->process();
  if (!changed) {
    spdlog::error("{}", changed.error().message);
    return;
  }
  filters_changed_.merge(monitor_->take_filters_changed());
  if (*changed) {
    apply_interfaces();
  }
}

void Agent::remove_leftovers() const {
  for (const auto& [ifindex, interface] : monitor_->view().interfaces) {
    if (const auto removed = TcLink::remove_leftovers(ifindex); !removed) {
      spdlog::warn("interface {}: {}; what a killed agent left there, if anything, stays", interface.name,
                   removed.error().message);
    }
  }
}

// Once a tick, not at once: who deletes a qdisc may be about to add one anew, and must not find ours in its place.
void Agent::look_after_filters() {
  std::string names;
  std::set<std::uint32_t> unknown;
  for (const std::uint32_t ifindex : std::exchange(filters_changed_, {})) {
    if (!datapath_->attached().contains(ifindex)) {
      continue;
    }
    const auto first = datapath_->first_in_line(ifindex);
    if (!first) {
      spdlog::error("{}", first.error().message);
      unknown.insert(ifindex);
    } else if (!*first) {
      datapath_->detach(ifindex);
      const auto interface = monitor_->view().interfaces.find(ifindex);
      names += (names.empty() ? "" : ", ") +
               (interface == monitor_->view().interfaces.end() ? std::to_string(ifindex) : interface->second.name);
    }
  }
  filters_changed_ = std::move(unknown);
  if (!names.empty()) {
    spdlog::info("interfaces {}: somebody removed hairpind's filters, or put theirs first; attaching anew", names);
    apply_interfaces();
  }
}

void Agent::apply_interfaces() {
  const NetworkView& view = monitor_->view();
  if (const auto set = datapath_->set_node_addresses(view.addresses); !set) {
    spdlog::error("{}", set.error().message);
  }
  const auto selected =
      select_interfaces(view, {.pod_globs = configuration_.pod_interfaces, .uplink_globs = configuration_.uplinks});
  std::vector<std::uint32_t> gone;
  for (const auto& [ifindex, device] : datapath_->attached()) {
    if (!selected.contains(ifindex)) {
      gone.push_back(ifindex);
    }
  }
  for (const std::uint32_t ifindex : gone) {
    datapath_->detach(ifindex);
  }
  std::erase_if(attach_failed_, [&](std::uint32_t ifindex) { return !selected.contains(ifindex); });
  const MonotonicTime until = now() + kAttachingPerTurn;
  attach_left_ = false;
  for (const auto& [ifindex, role] : selected) {
    const NetworkInterface& interface = view.interfaces.at(ifindex);
    if (!datapath_->attached().contains(ifindex) && !attach_failed_.contains(ifindex) && now() > until) {
      attach_left_ = true;
      break;
    }
    attach({.ifindex = ifindex,
            .role = role == InterfaceRole::kPod ? DeviceRole::kPod : DeviceRole::kUplink,
            .master_ifindex = interface.master_ifindex},
           interface.name);
  }
  const auto& attached = datapath_->attached();
  current_.pods_attached = static_cast<std::uint64_t>(
      std::ranges::count_if(attached, [](const auto& entry) { return entry.second.role == DeviceRole::kPod; }));
  current_.uplinks_attached = attached.size() - current_.pods_attached;
  warn_of_unmatched_globs();
}

void Agent::attach(const Device& device, const std::string& name) {
  const auto attached = datapath_->attach(device);
  if (attached) {
    if (attach_failed_.erase(device.ifindex) != 0) {
      spdlog::info("interface {}: attached after all", name);
    }
    return;
  }
  current_.attach_failures++;
  if (attach_failed_.insert(device.ifindex).second) {
    spdlog::warn("interface {}: {}; its pod is not watched, trying again each second", name, attached.error().message);
  }
}

void Agent::warn_of_unmatched_globs() {
  auto unmatched = unmatched_globs(
      monitor_->view(), {.pod_globs = configuration_.pod_interfaces, .uplink_globs = configuration_.uplinks});
  for (const std::string& glob : unmatched) {
    if (std::ranges::find(unmatched_globs_, glob) == unmatched_globs_.end()) {
      spdlog::warn("no interface matches '{}' now; waiting for one", glob);
    }
  }
  unmatched_globs_ = std::move(unmatched);
}

void Agent::handle_resolutions() {
  drain(resolved_.get());
  std::vector<Resolution> resolutions;
  {
    const std::scoped_lock lock(resolutions_mutex_);
    resolutions.swap(resolutions_);
  }
  bool configured = false;
  for (Resolution& resolution : resolutions) {
    spdlog::debug("load balancer {}: {} addresses", resolution.name, resolution.addresses.size());
    cluster_.set_resolution(resolution.name, resolution.addresses);
    if (fixed_hosts_.contains(resolution.name)) {
      resolved_hosts_[resolution.name] = std::move(resolution.addresses);
      configured = true;
    }
  }
  if (configured) {
    apply_frontends();
  } else {
    apply_watch_changes();
  }
}

void Agent::handle_cluster() {
  drain(cluster_timer_.get());
  // Read before the changes are taken, and told after they have been applied: in step is what is being watched.
  const bool synced = cluster_watch_->synced();
  const ClusterChanges changes = cluster_watch_->take_changes();
  cluster_.apply(changes, std::chrono::system_clock::now());
  apply_watch_changes();
  current_.kubernetes_synced = synced;
}

std::set<Frontend> Agent::configured_frontends() const {
  std::set<Frontend> frontends = fixed_frontends_;
  for (const LoadBalancerSpec& spec : configuration_.load_balancers) {
    const auto* const host = std::get_if<HostName>(&spec);
    const auto resolved = host == nullptr ? resolved_hosts_.end() : resolved_hosts_.find(host->name);
    if (resolved == resolved_hosts_.end()) {
      continue;
    }
    for (const IpAddress& address : resolved->second) {
      frontends.insert(Frontend{.address = address, .port = host->port});
    }
  }
  return frontends;
}

void Agent::apply_frontends() {
  std::set<Frontend> frontends = cluster_.frontends();
  frontends.merge(configured_frontends());
  note_frontends(datapath_->set_frontends(frontends));
}

void Agent::apply_watch_changes() {
  WatchChanges changes = cluster_.take_watch_changes();
  std::erase_if(changes.old_hostnames, [&](const std::string& name) { return fixed_hosts_.contains(name); });
  if (!changes.new_hostnames.empty() || !changes.old_hostnames.empty()) {
    resolver_->change_names(changes.new_hostnames, changes.old_hostnames);
  }
  if (!changes.removed.empty()) {
    const std::set<Frontend> configured = configured_frontends();
    std::erase_if(changes.removed, [&](const Frontend& frontend) { return configured.contains(frontend); });
  }
  // What was not written then is not among these changes.
  if (frontends_failed_) {
    apply_frontends();
  } else {
    note_frontends(datapath_->change_frontends(changes.added, changes.removed));
  }
}

void Agent::note_frontends(const Result<void>& written) {
  if (written) {
    frontends_failed_ = false;
  } else if (!std::exchange(frontends_failed_, true)) {
    spdlog::error("{}; trying again each second", written.error().message);
  }
}

void Agent::tick() {
  drain(tick_timer_.get());
  follow_conntrack();
  const auto undecided = datapath_->sweep(now());
  if (undecided) {
    pending_ = *undecided;
    sweep_failing_ = false;
  } else if (!std::exchange(sweep_failing_, true)) {
    spdlog::error("{}; handshakes that nobody answers are not counted", undecided.error().message);
  }
  // The sweep's questions, answered before the next one.
  handle_events();
  if (const auto incidents = datapath_->read_incidents()) {
    if (cluster_watch_) {
      book_mismatches(*incidents);
    }
    std::vector<IncidentCount> live;
    for (const IncidentCount& incident : *incidents) {
      if (incident.last_event.count() != 0 && now() - incident.last_event > kIncidentIdle) {
        datapath_->forget_incident(incident.key);
        ledger_.forget(incident.key);
      } else {
        live.push_back(incident);
      }
    }
    tracker_.on_counts(live, now());
  } else {
    spdlog::error("{}", incidents.error().message);
  }
  if (frontends_failed_) {
    apply_frontends();
  }
  if (!attach_failed_.empty()) {
    apply_interfaces();
  }
  look_after_filters();
  if (cluster_watch_ && now() >= next_exposure_look_) {
    next_exposure_look_ = now() + kExposureInterval;
    look_for_exposures();
  }
  note_sink(sink_.retry());
}

void Agent::book_mismatches(const std::vector<IncidentCount>& incidents) {
  const auto counted = datapath_->read_load_balancers();
  if (!counted) {
    return;
  }
  std::map<Endpoint, LedgerLoadBalancer> rows;
  for (const LoadBalancerCounters& row : *counted) {
    std::string& service = lb_services_[row.load_balancer];
    if (const LoadBalancerRef* const ref = cluster_.load_balancer_at(row.load_balancer)) {
      service = ref->full_name();
    }
    LedgerLoadBalancer& entry = rows[row.load_balancer];
    entry.service = service;
    std::ranges::copy(row.counters.unpaired, entry.unpaired.begin());
  }
  ledger_.book(incidents, rows, [&](const IncidentCount& incident) {
    const WallTime sent(incident.sample.first_syn + boot_to_wall());
    const auto client = cluster_.pod_at(incident.sample.client, sent);
    return client ? client->namespace_name : std::string();
  });
  current_.named = std::make_shared<NamedCounts>(NamedCounts{.services = lb_services_, .mismatches = ledger_.counts()});
}

void Agent::look_for_exposures() {
  const auto callers = datapath_->read_callers();
  const auto incidents = datapath_->read_incidents();
  if (!callers || !incidents) {
    return;
  }
  std::vector<Call> calls;
  for (const Caller& caller : *callers) {
    if (now() - caller.last < kCallerIdle) {
      calls.push_back({.client = caller.client, .load_balancer = caller.load_balancer});
    }
  }
  std::set<std::string> seen_preserving;
  for (const IncidentCount& incident : *incidents) {
    const LoadBalancerRef* const ref = cluster_.load_balancer_at(incident.key.load_balancer);
    if (ref != nullptr && !incident.sample.returned.empty()) {
      seen_preserving.insert(ref->full_name());
    }
  }
  const auto wall = std::chrono::system_clock::now();
  current_.exposed_pairs.clear();
  for (const auto& [name, exposure] : find_exposures(cluster_, calls, wall)) {
    const bool room = current_.exposed_pairs.size() < kExposedServices;
    current_.exposed_pairs[room ? name : "other"] += exposure.pairs;
    const Service& service = *cluster_.service(name);
    const Assessment assessment = assess(service);
    std::string preserved;
    if (seen_preserving.contains(name)) {
      preserved = "a SYN was seen coming back with its source kept";
    } else if (assessment.risk == Risk::kAtRisk) {
      preserved = assessment.reason;
    } else {
      continue;
    }
    if (exposure_told_.insert(name).second) {
      current_.alerts[AlertEvent::kHairpinExposure]++;
      note_sink(
          sink_.write(to_json(compose_exposure_alert(service, exposure, preserved, configuration_.node_name, wall))));
    }
  }
}

void Agent::flush_due_alerts() {
  auto due = tracker_.take_due(now(), [&](const IncidentKey& key) { return datapath_->read_incident_count(key); });
  if (due.empty()) {
    return;
  }
  const auto& interfaces = monitor_->view().interfaces;
  const AlertContext context{.node = configuration_.node_name,
                             .boot_to_wall = boot_to_wall(),
                             .interface_name = [&](std::uint32_t ifindex) -> std::optional<std::string> {
                               const auto found = interfaces.find(ifindex);
                               return found == interfaces.end() ? std::nullopt : std::optional(found->second.name);
                             },
                             .drop_reason_name = [&](std::uint32_t reason) -> std::optional<std::string> {
                               std::string name = features_.drop_reason_name(reason);
                               return name.empty() ? std::nullopt : std::optional(std::move(name));
                             },
                             .cluster = cluster_watch_ ? &cluster_ : nullptr};
  for (DueAlert& alert : due) {
    // What ended at once was not asked about by a sweep.
    const ConntrackAnswer answer = conntrack_->ask(alert.example);
    alert.example.conntrack = answer.conntrack;
    alert.example.conntrack_source = answer.source;
    current_.alerts[alert.event]++;
    note_sink(sink_.write(to_json(compose_alert(alert, context))));
  }
}

void Agent::note_sink(const Result<void>& result) {
  current_.alerts_dropped = sink_.dropped();
  if (result) {
    if (std::exchange(sink_failing_, false)) {
      spdlog::info("the alert stream {} takes alerts again", configuration_.alerts);
    }
  } else if (!std::exchange(sink_failing_, true)) {
    spdlog::error("{}; alerts are kept and tried again each second", result.error().message);
  }
}

void Agent::arm_deadline() {
  itimerspec spec{};
  if (const auto deadline = tracker_.next_deadline()) {
    // Zero would disarm; one that has passed fires at once.
    spec.it_value = to_timespec(std::max(*deadline, MonotonicTime(1)));
  }
  timerfd_settime(deadline_timer_.get(), TFD_TIMER_ABSTIME, &spec, nullptr);
}

void Agent::publish() {
  const std::scoped_lock lock(published_mutex_);
  published_ = current_;
}

bool Agent::healthy() const {
  const auto last = MonotonicTime(last_turn_ns_.load());
  return last.count() == 0 || now() - last < kStalled;
}

MetricsSnapshot Agent::snapshot() const {
  MetricsSnapshot snapshot;
  std::shared_ptr<const NamedCounts> named;
  bool synced = false;
  {
    const std::scoped_lock lock(published_mutex_);
    named = published_.named;
    snapshot.exposed_pairs = published_.exposed_pairs;
    synced = published_.kubernetes_synced;
    snapshot.alerts = published_.alerts;
    snapshot.events_lost["record_invalid"] = published_.records_invalid;
    snapshot.events_lost["alert_dropped"] = published_.alerts_dropped;
    const std::string mode(to_string(attach_mode_));
    for (const Hook hook : kAllHooks) {
      const bool pod = hook == Hook::kFromPod || hook == Hook::kToPod;
      snapshot.interfaces_attached.push_back({.hook = std::string(to_string(hook)),
                                              .mode = mode,
                                              .count = pod ? published_.pods_attached : published_.uplinks_attached});
    }
    snapshot.attach_failures = published_.attach_failures;
  }
  for (const FeatureStatus& status : features_.all()) {
    snapshot.kernel_features[std::string(status.name)] = status.present;
  }
  snapshot.version = HAIRPIND_VERSION;
  snapshot.pending_syns = pending_;
  // The HTTP server starts first; until the programs are loaded there is nothing to read.
  if (!ready_) {
    return snapshot;
  }
  const LoadOutcome& loaded = datapath_->outcome();
  for (const ResetSensor sensor : kResetSensors) {
    snapshot.kernel_features["reset_sensor_" + std::string(to_string(sensor))] = sensor == loaded.reset_sensor;
  }
  snapshot.kernel_features["conntrack_kfunc"] = loaded.conntrack_in_kernel;
  const auto totals = datapath_->read_totals();
  snapshot.spoofed_sources = totals[HP_TOTAL_SPOOFED_SOURCES];
  snapshot.events = totals[HP_TOTAL_EVENTS];
  snapshot.events_lost["ring_full"] = totals[HP_TOTAL_RING_FULL];
  snapshot.events_lost["pending_full"] = totals[HP_TOTAL_PENDING_FAILED];
  snapshot.events_lost["incidents_full"] = totals[HP_TOTAL_INCIDENTS_FULL];
  snapshot.events_lost["load_balancers_full"] = totals[HP_TOTAL_LB_TABLE_FULL];
  if (cluster_watch_) {
    snapshot.kubernetes_synced = synced;
  }
  snapshot.mismatches = named->mismatches;
  if (const auto counted = datapath_->read_load_balancers()) {
    for (const LoadBalancerCounters& row : *counted) {
      const auto service = named->services.find(row.load_balancer);
      // A series must not begin without the label of its Service: the next tick knows it.
      if (cluster_watch_ && service == named->services.end()) {
        continue;
      }
      LoadBalancerMetrics& metrics = snapshot.load_balancers.emplace_back(to_metrics(row.load_balancer, row.counters));
      metrics.service = cluster_watch_ ? service->second : "";
      for (std::uint8_t cause = HP_CAUSE_NONE + 1; cause < HP_CAUSE_COUNT; cause++) {
        const MismatchSeries series{.load_balancer = row.load_balancer,
                                    .service = metrics.service,
                                    .cause = static_cast<Cause>(cause),
                                    .client_namespace = ""};
        snapshot.mismatches.try_emplace(series, cluster_watch_ ? 0 : std::span(row.counters.mismatches)[cause]);
      }
    }
  }
  std::ranges::sort(snapshot.load_balancers, {}, &LoadBalancerMetrics::load_balancer);
  return snapshot;
}

}  // namespace hairpind
