// SPDX-License-Identifier: Apache-2.0
#include "node_devices.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <utility>

namespace hairpind {

Result<std::unique_ptr<NodeDevices>> NodeDevices::create(const Configuration& configuration, KernelSide& kernel,
                                                         EventLoop& loop, StatusBoard& board) {
  auto monitor = InterfaceMonitor::create();
  if (!monitor) {
    return std::unexpected(monitor.error());
  }
  auto lookup = RouteLookup::create();
  if (!lookup) {
    return std::unexpected(lookup.error());
  }
  return std::unique_ptr<NodeDevices>(
      new NodeDevices(configuration, kernel, loop, board, *std::move(monitor), *std::move(lookup)));
}

NodeDevices::NodeDevices(const Configuration& configuration, KernelSide& kernel, EventLoop& loop, StatusBoard& board,
                         InterfaceMonitor monitor, RouteLookup route_lookup)
    : kernel_(kernel),
      loop_(loop),
      board_(board),
      monitor_(std::move(monitor)),
      route_lookup_(std::move(route_lookup)),
      routes_([this](const IpAddress& address) { return route_lookup_.devices_to(address); }),
      attachments_(kernel.attachments, configuration.interfaces),
      owners_(kernel.owners, cilium_bpffs_roots(configuration.cilium_bpffs)) {}

void NodeDevices::begin(const std::set<IpAddress>& load_balancers, std::function<void()> all_attached) {
  all_attached_ = std::move(all_attached);
  attachments_.remove_leftovers(monitor_.view());
  static_cast<void>(routes_.set_load_balancers(load_balancers));
  choose();
}

void NodeDevices::on_network() {
  const auto changed = monitor_.process();
  unknown_ = !changed;
  if (!changed) {
    spdlog::error("{}; trying again in a second", changed.error().message);
    return;
  }
  attachments_.on_filters_changed(monitor_.take_filters_changed());
  if (*changed) {
    owners_.on_devices_changed();
    choose();
  } else {
    attach_waiting();
  }
}

void NodeDevices::on_turn(bool beside_cilium) {
  beside_cilium_ = beside_cilium;
  look_behind();
  owners_.refresh(EventLoop::now());
  if (routes_.on_turn(monitor_.take_routes_changed())) {
    choose();
  }
  attachments_.retry();
  if (unknown_) {
    on_network();
  }
  attach_waiting();
}

void NodeDevices::look_at_neighbours() {
  const auto totals = kernel_.counters->read_totals();
  attachments_.look_for_blind([this](std::uint32_t ifindex) { return kernel_.variables.seen(ifindex); });
  attachments_.on_spoofed(totals[HP_TOTAL_SPOOFED_SOURCES], kernel_.variables.spoofing_device());
  attachments_.on_crowded(totals[HP_TOTAL_UNDECIDED_EVICTED], kernel_.variables.crowding_device(), EventLoop::now());
  board_.publish(attachments_.status());
}

void NodeDevices::set_load_balancers(const std::set<IpAddress>& addresses) {
  if (routes_.set_load_balancers(addresses)) {
    choose();
  }
}

void NodeDevices::set_pods(std::set<IpAddress> pods) {
  owners_.set_pods(pods);
  if (pods != hints_.pods) {
    hints_.pods = std::move(pods);
    choose();
  }
}

void NodeDevices::detach() {
  const SinceBoot begun = EventLoop::now();
  const AttachStatus status = attachments_.status();
  while (attachments_.detach_one()) {
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(EventLoop::now() - begun);
  const bool tcx = kernel_.attach_mode == AttachMode::kTcx;
  spdlog::info("detached from {} devices in {} ms{}", status.pods + status.uplinks, took.count(),
               tcx ? ", the kernel's own time: an RCU grace period for each TCX link" : "");
}

std::optional<std::string> NodeDevices::name(std::uint32_t ifindex) const {
  const auto found = monitor_.view().interfaces.find(ifindex);
  return found == monitor_.view().interfaces.end() ? std::nullopt : std::optional(found->second.name);
}

void NodeDevices::choose() {
  hints_.load_balancers = routes_.devices();
  attachments_.on_network(monitor_.view(), hints_);
  board_.publish(std::make_shared<const std::vector<std::string>>(roles()));
  attach_waiting();
}

void NodeDevices::attach_waiting() {
  board_.publish(attachments_.status());
  if (!attachments_.waiting()) {
    if (const auto all_attached = std::exchange(all_attached_, {})) {
      all_attached();
    }
    return;
  }
  if (std::exchange(step_posted_, true)) {
    return;
  }
  // One device a turn: a burst of pods must not hold up alerts for seconds.
  loop_.post([this] {
    step_posted_ = false;
    attachments_.step();
    look_behind();
    attach_waiting();
  });
}

// Whose programs come after hairpind's may still change an answer.
void NodeDevices::look_behind() {
  kernel_.variables.set_answers_may_change(attachments_.answers_may_change(EventLoop::now()) || beside_cilium_);
}

}  // namespace hairpind
