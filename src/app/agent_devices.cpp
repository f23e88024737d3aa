// SPDX-License-Identifier: Apache-2.0
// What the agent does about devices: from what rtnetlink tells to what is attached, and who is beside it there.
#include <spdlog/spdlog.h>

#include <set>
#include <utility>

#include "agent.hpp"

namespace hairpind {

void Agent::on_network() {
  const auto changed = monitor_->process();
  if (!changed) {
    scheduled_.network_unknown = true;
    spdlog::error("{}; trying again in a second", changed.error().message);
    return;
  }
  scheduled_.network_unknown = false;
  attachments_->on_filters_changed(monitor_->take_filters_changed());
  if (*changed) {
    attachments_->on_network(monitor_->view(), hints_);
    owners_->on_devices_changed();
  }
  attach_waiting();
}

// Load balancers have come, gone or changed their addresses: the way to one may be a way in that nobody else names.
void Agent::review_load_balancers() {
  std::set<IpAddress> addresses;
  for (const Frontend& frontend : kernel_->frontends.watched()) {
    addresses.insert(frontend.address);
  }
  if (routes_->set_load_balancers(addresses)) {
    review_devices();
  }
}

// Chooses the devices anew where what is known beside rtnetlink's lists has changed.
void Agent::review_devices() {
  InterfaceHints hints{.load_balancers = routes_->devices(), .pods = {}};
  if (cluster_) {
    hints.pods = cluster_->sync.cluster().pod_addresses();
  }
  if (hints == hints_) {
    return;
  }
  hints_ = std::move(hints);
  attachments_->on_network(monitor_->view(), hints_);
  attach_waiting();
}

void Agent::attach_waiting() {
  board_.publish(attachments_->status());
  if (!attachments_->waiting() && !scheduled_.announced) {
    scheduled_.announced = true;
    announce();
  }
  if (!attachments_->waiting() || std::exchange(scheduled_.attach_step, true)) {
    return;
  }
  // One device a turn: a burst of pods must not hold up alerts for seconds.
  loop_->post([this] {
    scheduled_.attach_step = false;
    attachments_->step();
    look_behind();
    attach_waiting();
  });
}

// Whose programs come after hairpind's may still change an answer.
void Agent::look_behind() {
  const bool may_change = attachments_->answers_may_change(EventLoop::now());
  kernel_->variables.set_answers_may_change(may_change || conntrack_->beside_cilium());
}

// Whose programs come before them may hide packets.
void Agent::look_at_neighbours() {
  attachments_->look_for_blind([this](std::uint32_t ifindex) { return kernel_->variables.seen(ifindex); });
  attachments_->on_spoofed(kernel_->counters->read_totals()[HP_TOTAL_SPOOFED_SOURCES],
                           kernel_->variables.spoofing_device());
  board_.publish(attachments_->status());
}

// Who takes more than his share of the kernel's tables, and what is given back of them.
void Agent::look_for_room() {
  const MonotonicTime now = EventLoop::now();
  attachments_->on_crowded(kernel_->counters->read_totals()[HP_TOTAL_UNDECIDED_EVICTED],
                           kernel_->variables.crowding_device(), now);
  if (const auto looked = rows_->look(kernel_->frontends.watched(), now); !looked) {
    spdlog::error("{}", looked.error().message);
  }
}

void Agent::announce() const {
  const InterfaceSelection selection{.pod_globs = configuration_.pod_interfaces,
                                     .uplink_globs = configuration_.uplinks};
  for (const std::string& line : describe(select_interfaces(monitor_->view(), selection, hints_), monitor_->view())) {
    spdlog::info("{}", line);
  }
  const AttachStatus attached = attachments_->status();
  spdlog::info("hairpind {} on node {}: pod interfaces {}, uplinks {}, attach {}, conntrack {}, resets {}",
               HAIRPIND_VERSION, configuration_.node_name, attached.pods, attached.uplinks,
               to_string(kernel_->attach_mode), conntrack_->describe(),
               to_string(kernel_->programs->outcome().reset_sensor));
}

}  // namespace hairpind
