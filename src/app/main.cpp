// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <variant>
#include <vector>

#include "agent.hpp"
#include "audit.hpp"
#include "check.hpp"
#include "configuration.hpp"
#include "event_loop.hpp"
#include "explain.hpp"
#include "least_rights.hpp"
#include "logging.hpp"
#include "status_command.hpp"
#include "verify.hpp"

namespace {

constexpr const char* kUsage =
    "hairpind: catches connections to a load balancer that are answered past the load balancer\n"
    "\n"
    "  hairpind run [OPTIONS]   the agent ('hairpind run --help' lists the options)\n"
    "  hairpind check [OPTIONS] what this kernel and this process offer; exit 1 if the agent could not run with the\n"
    "                           same options\n"
    "  hairpind audit [OPTIONS] which Services will fail one day, read from a cluster or from manifests\n"
    "  hairpind status [OPTIONS] what the agent on this node knows: how each load balancer answers, what is over\n"
    "  hairpind verify LB[:PORT] [OPTIONS]\n"
    "                           opens connections to a load balancer and says how many were answered\n"
    "  hairpind explain [FILE...|-] [OPTIONS]\n"
    "                           what alert lines come to, from logs of a whole cluster: table, ladder, page, packets\n"
    "  hairpind version\n";

// Distinct for the caller's scripts: asked wrongly, or could not do it.
constexpr int kExitUsage = 2;
constexpr int kExitFailure = 1;

// Each pod takes two; the soft limit is as it is for the sake of select(2), which nobody calls here.
void raise_descriptor_limit() {
  rlimit descriptors{};
  if (getrlimit(RLIMIT_NOFILE, &descriptors) == 0) {
    descriptors.rlim_cur = descriptors.rlim_max;
    setrlimit(RLIMIT_NOFILE, &descriptors);
  }
}

int run(hairpind::Configuration configuration) {
  hairpind::configure_logging(configuration.log_level, configuration.log_format, configuration.node_name);
  raise_descriptor_limit();
  auto agent = hairpind::Agent::start(std::move(configuration));
  if (!agent) {
    spdlog::error("{}", agent.error().message);
    return kExitFailure;
  }
  const auto ended = (*agent)->run();
  if (!ended) {
    spdlog::error("{}", ended.error().message);
    return kExitFailure;
  }
  if (!*ended) {
    std::_Exit(0);
  }
  return 0;
}

// With one of them closed, the next file opened would be it, and log lines go where alerts belong. Stdout gets one that
// cannot be written to: who wants it is told so.
void open_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(stream, F_GETFD) < 0) {
      open("/dev/null", stream == STDERR_FILENO ? O_WRONLY : O_RDONLY);
    }
  }
}

int check(const hairpind::Configuration& configuration) {
  // What there is to say of Cilium's maps, and of a refusal, goes to the log.
  hairpind::configure_logging(configuration.log_level, configuration.log_format, configuration.node_name);
  const auto features = hairpind::KernelFeatures::probe();
  const auto attach_mode = hairpind::choose_attach_mode(configuration.attach, features);
  const auto reset_sensor = hairpind::choose_reset_sensor(configuration.reset_sensor, features);
  if (!attach_mode || !reset_sensor) {
    const auto& error = attach_mode ? reset_sensor.error() : attach_mode.error();
    std::fprintf(stderr, "hairpind: %s\n", error.message.c_str());
    return kExitFailure;
  }
  utsname kernel{};
  uname(&kernel);
  const auto preflight = hairpind::try_loading(configuration, features, *attach_mode, *reset_sensor);
  // As run does: what is said is what is so.
  const auto rights = hairpind::give_up_rights(hairpind::rights_needed(configuration));
  std::fputs(
      hairpind::render_check(features, kernel.release, preflight, rights, hairpind::describe_devices(configuration))
          .c_str(),
      stdout);
  return preflight.loaded ? 0 : kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_streams();
  const std::vector<std::string> arguments(argv + std::min(argc, 2), argv + argc);
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "run") {
    // Before anything that takes time: SIGHUP would end a process that is not listening yet.
    hairpind::EventLoop::block_signals();
  }
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
    if (command == "status") {
      return hairpind::run_status(arguments);
    }
    if (command == "verify") {
      return hairpind::run_verify(arguments);
    }
    if (command == "explain") {
      return hairpind::run_explain(arguments);
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
  std::fprintf(stderr, "hairpind: %s; expected run, check, audit, status, verify, explain or version\n",
               command.empty() ? "no command given" : ("unknown command or argument after '" + command + "'").c_str());
  return kExitUsage;
}
