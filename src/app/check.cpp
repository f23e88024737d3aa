// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include <spdlog/fmt/fmt.h>

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

std::string render_check(const KernelFeatures& features, const std::string& kernel_release,
                         const std::string& conntrack, AttachMode attach_mode) {
  std::string text = fmt::format("hairpind {} on kernel {}\n\n", HAIRPIND_VERSION, kernel_release);
  text += fmt::format("{:<18} {:<9} {}\n", "FEATURE", "STATE", "WHAT IT GIVES / WHAT IS LOST WITHOUT IT");
  for (const FeatureStatus& status : features.all()) {
    const std::string_view state = state_word(status);
    text += fmt::format("{:<18} {:<9} {}\n", status.name, state, status.gives);
    if (status.known && !status.present) {
      text += fmt::format("{:<18} {:<9} -> {}\n", "", "", status.without);
    }
  }
  if (const auto runnable = features.check_required(); !runnable) {
    return text + "\nresult: cannot run here\n";
  }
  text += fmt::format("\nmode: attach {}, conntrack {}, drop reasons {}, resets {}, handshake timeout {}\n",
                      to_string(attach_mode), conntrack, features.has(Feature::kDropReasons) ? "by name" : "none",
                      features.has(Feature::kResetTracepoint) ? "every stack" : "pods only",
                      features.has(Feature::kSweep) ? "on" : "off");
  if (attach_mode == AttachMode::kClsact) {
    text +=
        "  clsact: filters stay on the devices after SIGKILL, until the next start or 'tc filter del'\n"
        "  clsact: adding the qdisc where there is none drops what leaves the device for about half a millisecond\n";
    text += features.has(Feature::kTcx) ? "  clsact: TCX programs of others run first and may hide packets\n"
                                        : "  clsact: filters added later at the same priority run first until hairpind "
                                          "comes back, within a second\n";
  }
  return text + "result: can run\n";
}

}  // namespace hairpind
