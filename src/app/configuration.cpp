// SPDX-License-Identifier: Apache-2.0
#include "configuration.hpp"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <ranges>

#include "toml_file.hpp"

namespace hairpind {
namespace {

constexpr std::uint16_t kDnsPort = 53;

std::string default_node_name() {
  if (const char* const name = std::getenv("NODE_NAME"); name != nullptr && *name != '\0') {
    return name;
  }
  std::array<char, 256> host{};
  return gethostname(host.data(), host.size() - 1) == 0 ? host.data() : "unknown";
}

// The kernel takes no other size for a ring buffer.
std::string power_of_two(const std::string& text) {
  return std::has_single_bit(std::strtoul(text.c_str(), nullptr, 10)) ? "" : text + " is no power of two";
}

// Neither is below nor above a bound.
std::string a_number(const std::string& text) {
  return std::isnan(std::strtod(text.c_str(), nullptr)) ? text + " is no number" : "";
}

// "--repeat-interval" -> HAIRPIND_REPEAT_INTERVAL: by rule, so that none can be forgotten or mistyped.
void name_environment_variables(CLI::App& app) {
  for (CLI::Option* const option : app.get_options()) {
    std::string name = option->get_lnames().at(0);
    if (name == "help") {
      continue;
    }
    std::ranges::replace(name, '-', '_');
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    option->envname("HAIRPIND_" + name);
  }
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

std::string explain(const CLI::Error& error, const CLI::App& app) {
  std::string text = error.what();
  std::ranges::replace(text, '\n', ' ');
  if (dynamic_cast<const CLI::ConfigError*>(&error) != nullptr) {
    text = "configuration file '" + app.get_config_ptr()->as<std::string>() + "', " + text;
  }
  return text + "; see 'hairpind run --help'";
}

Result<std::string> parse_dns_server(const std::string& text) {
  const auto parsed = parse_load_balancer(text);
  const Frontend* const server = parsed ? std::get_if<Frontend>(&*parsed) : nullptr;
  if (server == nullptr || server->is_prefix()) {
    return fail("--cluster-dns '" + text + "' is no address; expected ADDR[:PORT] or [IPV6]:PORT, e.g. 10.96.0.10");
  }
  const std::uint16_t port = server->port == 0 ? kDnsPort : server->port;
  return Endpoint{.address = server->address, .port = port}.to_string();
}

}  // namespace

Result<std::variant<Configuration, HelpText>> parse_run_options(const std::vector<std::string>& arguments) {
  Configuration configuration;
  configuration.node_name = default_node_name();
  std::vector<std::string> load_balancers;
  double handshake_timeout = 3;
  std::optional<double> repeat_interval;
  double quiet_after = 600;

  CLI::App app{
      "Watch this node for asymmetric hairpin connections. Alerts are JSON lines; the agent's own log goes to stderr.",
      "hairpind run"};
  app.set_config("--config", "", "TOML file with the options below as keys");
  app.add_option("--lb", load_balancers,
                 "Load balancer: ADDR[:PORT], [IPV6]:PORT, CIDR or HOST[:PORT]; repeatable, or separated by commas")
      ->delimiter(',');
  app.add_option("--pod-interface", configuration.interfaces.pod_globs,
                 "Glob of the pods' host-side devices; repeatable; default: veth and netkit whose peer is in another "
                 "network namespace")
      ->delimiter(',');
  app.add_option("--uplink", configuration.interfaces.uplink_globs,
                 "Glob of the uplinks; repeatable; default: devices with a default route")
      ->delimiter(',');
  app.add_option("--node-name", configuration.node_name,
                 "Name of this node in alerts; default: NODE_NAME, else the host name");
  app.add_option("--kubeconfig", configuration.kubeconfig,
                 "Find load balancers and names through this kubeconfig; default: the pod's service account, if any");
  app.add_option("--cluster-dns", configuration.cluster_dns,
                 "ADDR[:PORT] of the DNS server that pods ask; load balancers' names are resolved there, too, beside "
                 "the node's own servers");
  app.add_option(
      "--cilium-bpffs", configuration.cilium_bpffs,
      "bpffs on which Cilium pins its maps; default: /sys/fs/bpf, else /run/cilium/bpffs, if they are there");
  app.add_option("--conntrack", configuration.conntrack,
                 "How netfilter's conntrack is asked: auto, or for diagnosis netlink, as on a kernel without "
                 "bpf_skb_ct_lookup")
      ->check(CLI::IsMember({"auto", "netlink"}))
      ->capture_default_str();
  app.add_option("--reset-sensor", configuration.reset_sensor,
                 "What tells that a stack refused an answer: auto, or for diagnosis tracepoint (tcp_send_reset, 6.10), "
                 "drop (kfree_skb, 5.17) or kprobe")
      ->check(CLI::IsMember({"auto", "tracepoint", "drop", "kprobe"}))
      ->capture_default_str();
  app.add_option("--attach", configuration.attach,
                 "How programs are put on devices: auto (tcx where the kernel has it), tcx or clsact; for diagnosis, "
                 "and clsact for nodes with a great many short-lived pods")
      ->check(CLI::IsMember({"auto", "tcx", "clsact"}))
      ->capture_default_str();
  app.add_option("--alerts", configuration.alerts, "Where alerts go: a file, reopened on SIGHUP, or - for stdout")
      ->capture_default_str();
  app.add_flag("--kubernetes-events", configuration.kubernetes_events,
               "Tell of failures, and of their end, in Events on the client's pod and on the Service, too: needs the "
               "right to create and patch events");
  CLI::Option* const listen =
      app.add_option("--listen", configuration.listen, "ADDR:PORT of /metrics, /healthz and /readyz; empty: off")
          ->capture_default_str();
  app.add_option("--health-listen", configuration.health_listen,
                 "ADDR:PORT of a second listener, of /healthz and /readyz alone and never with TLS: for probes, where "
                 "--listen is not for everybody; default: none");
  app.add_option("--tls-cert-file", configuration.tls_cert_file,
                 "PEM file with the certificate by which --listen speaks TLS, and its issuers'; read again when it "
                 "changes; default: plain HTTP");
  app.add_option("--tls-key-file", configuration.tls_key_file,
                 "PEM file with that certificate's key; read again when it changes");
  app.add_option("--state-directory", configuration.state_directory,
                 "Directory in which the state of problems outlives the agent; default: none, they end with it");
  app.add_option("--handshake-timeout", handshake_timeout,
                 "Seconds after which a handshake that the load balancer has not answered is settled")
      ->check(a_number)
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str();
  app.add_option("--repeat-interval", repeat_interval,
                 "Seconds between two alerts of the same incident; default: 1, 5 and 15 minutes, then an hour")
      ->check(a_number)
      ->check(CLI::Range(1.0, 86400.0));
  app.add_option("--quiet-after", quiet_after,
                 "Seconds without a mismatch after which a load balancer's problem is not called active any more")
      ->check(a_number)
      ->check(CLI::Range(1.0, 86400.0))
      ->capture_default_str();
  app.add_option("--pending-syns", configuration.pending_syns, "Size of the kernel's table of connection attempts")
      ->check(CLI::Range(1024U, 4194304U))
      ->capture_default_str();
  app.add_option("--ring-bytes", configuration.ring_bytes,
                 "Size of the ring buffer from the kernel to the agent: a power of two, at least 4096")
      ->check(CLI::Range(4096U, 1U << 30U))
      ->check(power_of_two)
      ->capture_default_str();
  app.add_option("--log-level", configuration.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_option("--log-format", configuration.log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();

  name_environment_variables(app);
  read_config_as_toml(app);

  try {
    // CLI11 takes the vector from its back.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    // It reads the variable of --config only after the file would have been read.
    const char* const file = std::getenv("HAIRPIND_CONFIG");
    const auto names_file = [](const std::string& argument) { return argument.starts_with("--config"); };
    if (file != nullptr && *file != '\0' && std::ranges::none_of(arguments, names_file)) {
      reversed.insert(reversed.end(), {file, "--config"});
    }
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return HelpText{app.help()};
  } catch (const CLI::Error& error) {
    return fail(explain(error, app));
  }

  // To CLI11 an empty variable is none; here it has a meaning.
  const char* const listen_variable = std::getenv("HAIRPIND_LISTEN");
  if (listen->count() == 0 && listen_variable != nullptr && *listen_variable == '\0') {
    configuration.listen.clear();
  }
  if (configuration.tls_cert_file.empty() != configuration.tls_key_file.empty()) {
    const bool lacks_key = configuration.tls_key_file.empty();
    return fail(std::string(lacks_key ? "--tls-cert-file is given without --tls-key-file"
                                      : "--tls-key-file is given without --tls-cert-file") +
                ": give both for TLS, or none for plain HTTP");
  }
  if (!configuration.tls_cert_file.empty() && configuration.listen.empty()) {
    return fail("--tls-cert-file and --tls-key-file are given and --listen is off: there is nothing to serve by TLS");
  }
  for (const std::string& text : load_balancers) {
    auto load_balancer = parse_load_balancer(text);
    if (!load_balancer) {
      return std::unexpected(load_balancer.error());
    }
    configuration.load_balancers.push_back(*std::move(load_balancer));
  }
  if (!configuration.cluster_dns.empty()) {
    auto server = parse_dns_server(configuration.cluster_dns);
    if (!server) {
      return std::unexpected(server.error());
    }
    configuration.cluster_dns = *std::move(server);
  }
  configuration.handshake_timeout = milliseconds(handshake_timeout);
  configuration.repeat_interval = repeat_interval.transform(milliseconds);
  configuration.quiet_after = milliseconds(quiet_after);
  return configuration;
}

}  // namespace hairpind
