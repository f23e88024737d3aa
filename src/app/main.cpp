// SPDX-License-Identifier: Apache-2.0
#include <spdlog/spdlog.h>
#include <sys/utsname.h>

#include <cstdio>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include "agent.hpp"
#include "audit.hpp"
#include "check.hpp"
#include "configuration.hpp"
#include "conntrack_backends.hpp"
#include "logging.hpp"

namespace {

constexpr const char* kUsage =
    "hairpind: catches connections to a load balancer that are answered past the load balancer\n"
    "\n"
    "  hairpind run [OPTIONS]   the agent ('hairpind run --help' lists the options)\n"
    "  hairpind check [OPTIONS] what this kernel and this process offer; exit 1 if the agent could not run with the\n"
    "                           same options\n"
    "  hairpind audit [OPTIONS] which Services will fail one day, read from a cluster or from manifests\n"
    "  hairpind version\n";

// Distinct for the caller's scripts: asked wrongly, or could not do it.
constexpr int kExitUsage = 2;
constexpr int kExitFailure = 1;

int run(hairpind::Configuration configuration) {
  hairpind::configure_logging(configuration.log_level, configuration.log_format);
  auto agent = hairpind::Agent::start(std::move(configuration));
  if (!agent) {
    spdlog::error("{}", agent.error().message);
    return kExitFailure;
  }
  if (const auto ran = (*agent)->run(); !ran) {
    spdlog::error("{}", ran.error().message);
    return kExitFailure;
  }
  return 0;
}

int check(const hairpind::Configuration& configuration) {
  const auto features = hairpind::KernelFeatures::probe();
  const auto attach_mode = hairpind::choose_attach_mode(configuration.attach, features);
  if (!attach_mode) {
    std::fprintf(stderr, "hairpind: %s\n", attach_mode.error().message.c_str());
    return kExitFailure;
  }
  utsname kernel{};
  uname(&kernel);
  // What there is to say of Cilium's maps goes to the log.
  hairpind::configure_logging("info", "text");
  hairpind::ConntrackBackends conntrack(
      configuration.conntrack == "auto" && features.has(hairpind::Feature::kConntrackKfunc),
      configuration.cilium_bpffs);
  conntrack.refresh();
  std::fputs(hairpind::render_check(features, kernel.release, conntrack.describe(), *attach_mode).c_str(), stdout);
  return features.check_required() ? 0 : kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + std::min(argc, 2), argv + argc);
  const std::string command = argc > 1 ? argv[1] : "";
  try {
    if (command == "run" || command == "check") {
      auto options = hairpind::parse_run_options(arguments);
      if (!options) {
        std::fprintf(stderr, "hairpind: %s\n", options.error().message.c_str());
        return kExitUsage;
      }
      if (const auto* const help = std::get_if<hairpind::HelpText>(&*options)) {
        std::fputs(help->text.c_str(), stdout);
        return 0;
      }
      auto& configuration = std::get<hairpind::Configuration>(*options);
      return command == "run" ? run(std::move(configuration)) : check(configuration);
    }
    if (command == "audit") {
      return hairpind::run_audit(arguments);
    }
    if ((command == "version" || command == "--version") && arguments.empty()) {
      std::puts("hairpind " HAIRPIND_VERSION);
      return 0;
    }
    if (command == "help" || command == "--help" || command == "-h") {
      std::fputs(kUsage, stdout);
      return 0;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hairpind: internal error: %s\n", error.what());
    return kExitFailure;
  }
  std::fprintf(stderr, "hairpind: %s; expected run, check, audit or version\n",
               command.empty() ? "no command given" : ("unknown command or argument after '" + command + "'").c_str());
  return kExitUsage;
}
