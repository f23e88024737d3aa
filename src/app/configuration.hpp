// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "hairpind/core/error.hpp"
#include "hairpind/core/frontend.hpp"
#include "hairpind/net/interface_selection.hpp"

namespace hairpind {

/// What `hairpind run` was told, checked. Passed down as values; nothing reads options globally.
struct Configuration {
  std::vector<LoadBalancerSpec> load_balancers;
  InterfaceSelection interfaces;  ///< empty globs = discover
  std::string node_name;
  std::string kubeconfig;          ///< empty = the pod's service account, if this is a pod
  std::string cluster_dns;         ///< "ADDR:PORT" of the servers that pods ask, asked beside the node's; empty = none
  std::string cilium_bpffs;        ///< bpffs with Cilium's maps; empty = look in the usual places
  std::string conntrack = "auto";  ///< "netlink": do without the kernel function, for diagnosis
  std::string reset_sensor = "auto";  ///< "tracepoint", "drop", "kprobe": choose_reset_sensor
  std::string attach = "auto";        ///< "tcx", "clsact": choose_attach_mode
  std::string alerts = "-";
  bool kubernetes_events = false;
  std::string state_directory;            ///< empty = problems end with the agent
  std::string listen = "127.0.0.1:9477";  ///< empty = no HTTP
  std::string health_listen;              ///< a second one, for probes alone; empty = none
  std::string tls_cert_file;              ///< of `listen`, with its key; both empty = plain HTTP
  std::string tls_key_file;
  std::string log_level = "info";
  std::string log_format = "text";
  std::chrono::milliseconds handshake_timeout = std::chrono::seconds(3);
  std::optional<std::chrono::milliseconds> repeat_interval;  ///< nothing: intervals that grow
  std::chrono::milliseconds quiet_after = std::chrono::minutes(10);
  std::uint32_t pending_syns = 65536;
  std::uint32_t ring_bytes = 1U << 20U;
};

/// Text for stdout, such as --help: not an error, and not a run either.
struct HelpText {
  std::string text;
};

/// Parses the arguments after `run` together with the environment (HAIRPIND_*) and the --config file. A flag
/// wins over the file, the file over the environment.
Result<std::variant<Configuration, HelpText>> parse_run_options(const std::vector<std::string>& arguments);

}  // namespace hairpind
