// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <set>
#include <variant>

#include "conntrack_backends.hpp"
#include "hairpind/net/interface_monitor.hpp"
#include "hairpind/net/interface_selection.hpp"
#include "hairpind/net/route_lookup.hpp"
#include "load_options.hpp"

namespace hairpind {
namespace {

std::string_view state_word(const FeatureStatus& status) {
  if (!status.known) {
    return "unknown";
  }
  if (status.present) {
    return "present";
  }
  return status.required ? "MISSING" : "absent";
}

}  // namespace

Preflight try_loading(const Configuration& configuration, const KernelFeatures& features, AttachMode attach_mode,
                      ResetSensor reset_sensor) {
  Preflight preflight{.attach_mode = attach_mode, .conntrack = {}, .loaded = {}, .costs = {}, .memory = {}};
  // The table above says of each what to do.
  if (!features.check_required()) {
    preflight.loaded = fail("what is MISSING above is needed");
    return preflight;
  }
  const auto programs =
      Programs::load(load_options(configuration, reset_sensor),
                     configuration.conntrack == "auto" ? features : features.without(Feature::kConntrackKfunc));
  if (!programs) {
    preflight.loaded = std::unexpected(programs.error());
    return preflight;
  }
  preflight.loaded = (*programs)->outcome();
  preflight.costs = (*programs)->costs();
  preflight.memory = (*programs)->memory();
  ConntrackBackends conntrack({.kernel = preflight.loaded->conntrack_in_kernel,
                               .await_module = false,
                               .cilium_bpffs = configuration.cilium_bpffs});
  conntrack.refresh();
  preflight.conntrack = conntrack.describe();
  return preflight;
}

std::vector<std::string> describe_devices(const Configuration& configuration) {
  const auto monitor = InterfaceMonitor::create();
  auto lookup = RouteLookup::create();
  if (!monitor || !lookup) {
    return {monitor ? lookup.error().message : monitor.error().message};
  }
  InterfaceHints hints;
  for (const LoadBalancerSpec& spec : configuration.load_balancers) {
    if (const auto* const frontend = std::get_if<Frontend>(&spec)) {
      hints.load_balancers[frontend->address] =
          lookup->devices_to(frontend->address).value_or(std::set<std::uint32_t>{});
    }
  }
  const NetworkView& view = monitor->view();
  std::vector<std::string> lines = describe(select_interfaces(view, configuration.interfaces, hints), view);
  if (lines.empty()) {
    lines.emplace_back("no device to watch was found: name them with --pod-interface and --uplink");
  }
  return lines;
}

std::string render_check(const KernelFeatures& features, const std::string& kernel_release, const Preflight& preflight,
                         const RightsLeft& rights, const std::vector<std::string>& devices) {
  std::string text = fmt::format("hairpind {} on kernel {}\n\n", HAIRPIND_VERSION, kernel_release);
  text += fmt::format("{:<18} {:<9} {}\n", "FEATURE", "STATE", "WHAT IT GIVES / WHAT IS LOST WITHOUT IT");
  for (const FeatureStatus& status : features.all()) {
    const std::string_view state = state_word(status);
    text += fmt::format("{:<18} {:<9} {}\n", status.name, state, status.gives);
    if (status.known && !status.present) {
      text += fmt::format("{:<18} {:<9} -> {}\n", "", "", status.without);
    }
  }
  if (!preflight.loaded) {
    return text + fmt::format("\n{}\nresult: cannot run here\n", preflight.loaded.error().message);
  }
  const LoadOutcome& loaded = *preflight.loaded;
  text += fmt::format("\nmode: attach {}, conntrack {}, drop reasons {}, resets by {}, handshake timeout {}\n",
                      to_string(preflight.attach_mode), preflight.conntrack,
                      features.has(Feature::kDropReasons) ? "by name" : "none",
                      loaded.reset_sensor == ResetSensor::kNone ? "pods' packets only" : to_string(loaded.reset_sensor),
                      features.has(Feature::kSweep) ? "on" : "off");
  for (const std::string& lost : loaded.lost) {
    text += fmt::format("  {}\n", lost);
  }
  if (preflight.attach_mode == AttachMode::kClsact) {
    text +=
        "  clsact: filters stay on the devices after SIGKILL, until the next start or 'tc filter del'\n"
        "  clsact: adding the qdisc where there is none drops what leaves the device for about half a millisecond\n";
    text += features.has(Feature::kTcx) ? "  clsact: TCX programs of others run first and may hide packets\n"
                                        : "  clsact: filters added later at the same priority run first until hairpind "
                                          "comes back, within a second\n";
  }
  if (const auto dearest = std::ranges::max_element(preflight.costs, {}, &ProgramCost::verified_instructions);
      dearest != preflight.costs.end()) {
    text += fmt::format("loaded and unloaded: {} programs; the verifier's dearest is {} with {} instructions\n",
                        preflight.costs.size(), dearest->name, dearest->verified_instructions);
  }
  const auto limit = memory_limit();
  text += describe(preflight.memory, limit) + "\n";
  if (may_fall_short(preflight.memory, limit)) {
    text += fmt::format("  {}\n", kMemoryShort);
  }
  text += describe(rights) + "\n";
  for (const std::string& kept : rights.lost) {
    text += fmt::format("  {}\n", kept);
  }
  for (const std::string& line : devices) {
    text += line + "\n";
  }
  return text + "result: can run\n";
}

}  // namespace hairpind
