// SPDX-License-Identifier: Apache-2.0
#include "audit.hpp"

#include <spdlog/fmt/fmt.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>

#include "hairpind/core/error.hpp"
#include "hairpind/core/preservation.hpp"
#include "hairpind/kube/cluster_access.hpp"
#include "hairpind/kube/collection.hpp"
#include "hairpind/kube/manifests.hpp"
#include "hairpind/kube/objects.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kNothingAtRisk = 0;
constexpr int kAtRisk = 1;
constexpr int kError = 2;

struct Options {
  std::vector<std::string> files;
  std::string kubeconfig;
  std::string context;
  std::string output = "table";
};

struct Audited {
  Service service;
  Assessment assessment;
  std::optional<std::size_t> nodes;  ///< that run a backend and another pod today; nullopt without a cluster
};

void complain(const std::string& text) {
  std::fprintf(stderr, "hairpind: %s\n", text.c_str());
}

/// Nodes with a ready backend of the Service and a pod, not that one, that could be its client.
std::size_t exposed_nodes(const Service& service, const std::map<std::string, std::vector<Pod>>& pods_by_node) {
  return static_cast<std::size_t>(std::ranges::count_if(pods_by_node, [&](const auto& node) {
    const bool backend =
        std::ranges::any_of(node.second, [&](const Pod& pod) { return pod.ready && service.selects(pod); });
    return backend && node.second.size() > 1;
  }));
}

std::vector<Audited> audit(const std::vector<Service>& services,
                           const std::map<std::string, std::vector<Pod>>* pods_by_node) {
  std::vector<Audited> audited;
  for (const Service& service : services) {
    if (service.type != "LoadBalancer") {
      continue;
    }
    audited.push_back(
        {.service = service,
         .assessment = assess(service),
         .nodes = pods_by_node == nullptr ? std::nullopt : std::optional(exposed_nodes(service, *pods_by_node))});
  }
  std::ranges::sort(audited, {},
                    [](const Audited& each) { return std::tie(each.service.namespace_name, each.service.name); });
  return audited;
}

Result<ClusterAccess> cluster_access(const Options& options) {
  if (!options.kubeconfig.empty()) {
    return kubeconfig_access({options.kubeconfig}, options.context);
  }
  // As kubectl: a kubeconfig, else the service account of the pod that this may be.
  const auto found = default_kubeconfigs();
  return found.empty() ? in_cluster_access(kServiceAccountDirectory) : kubeconfig_access(found, options.context);
}

Result<std::vector<Audited>> audit_cluster(const Options& options) {
  const auto access = cluster_access(options);
  if (!access) {
    return std::unexpected(access.error());
  }
  if (!access->verify) {
    complain("insecure-skip-tls-verify: whoever stands between here and " + access->url() + " can read and change all");
  }
  const auto client = ApiClient::create(*access);
  if (!client) {
    return std::unexpected(client.error());
  }
  std::vector<Service> services;
  const auto listed = list_collection(**client, {.path = "/api/v1/services", .field_selector = ""}, {},
                                      [&](const nlohmann::json& object) {
                                        if (auto service = parse_service(object)) {
                                          services.push_back(*std::move(service));
                                        }
                                      });
  if (!listed) {
    return fail(listed.error().why);
  }
  std::map<std::string, std::vector<Pod>> pods_by_node;
  const auto pods =
      list_collection(**client, {.path = "/api/v1/pods", .field_selector = ""}, {}, [&](const nlohmann::json& object) {
        auto pod = parse_pod(object);
        if (pod && !pod->finished && !pod->node_name.empty()) {
          pods_by_node[pod->node_name].push_back(*std::move(pod));
        }
      });
  if (!pods) {
    // What is at risk can be said without knowing who is exposed today.
    complain(pods.error().why + "; going on without the pods");
    return audit(services, nullptr);
  }
  return audit(services, &pods_by_node);
}

Json to_json(const std::vector<Audited>& audited) {
  Json services = Json::array();
  for (const Audited& each : audited) {
    Json entry{{"namespace", each.service.namespace_name},
               {"name", each.service.name},
               {"verdict", to_string(each.assessment.risk)},
               {"reason", each.assessment.reason},
               {"fix", each.assessment.fix},
               {"link", each.assessment.link}};
    if (each.nodes) {
      entry["exposed_nodes"] = *each.nodes;
    }
    services.push_back(std::move(entry));
  }
  return {{"schema", "hairpind.audit/v1"}, {"services", std::move(services)}};
}

std::string to_yaml(const Json& audit) {
  YAML::Emitter out;
  out << YAML::BeginMap << YAML::Key << "schema" << YAML::Value << audit["schema"].get<std::string>();
  out << YAML::Key << "services" << YAML::Value << YAML::BeginSeq;
  for (const Json& service : audit["services"]) {
    out << YAML::BeginMap;
    for (const auto& [key, value] : service.items()) {
      out << YAML::Key << key << YAML::Value;
      if (value.is_number()) {
        out << value.get<std::uint64_t>();
      } else {
        out << YAML::DoubleQuoted << value.get<std::string>();
      }
    }
    out << YAML::EndMap;
  }
  out << YAML::EndSeq << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

std::string to_table(const std::vector<Audited>& audited) {
  std::size_t width = std::string_view("SERVICE").size();
  for (const Audited& each : audited) {
    width = std::max(width, each.service.full_name().size());
  }
  std::string table = fmt::format("{:<{}}  {:<8}  {}\n", "SERVICE", width, "VERDICT", "WHY");
  std::map<Risk, int> counts;
  for (const Audited& each : audited) {
    counts[each.assessment.risk]++;
    table += fmt::format("{:<{}}  {:<8}  {}\n", each.service.full_name(), width, to_string(each.assessment.risk),
                         each.assessment.reason);
    const auto more = [&](const std::string& what, const std::string& text) {
      if (!text.empty()) {
        table += fmt::format("{:<{}}  {:<8}  {}: {}\n", "", width, "", what, text);
      }
    };
    more("fix", each.assessment.fix);
    more("see", each.assessment.link);
    if (each.nodes && each.assessment.risk != Risk::kSafe) {
      more("today", fmt::format("nodes that run a backend and other pods: {}", *each.nodes));
    }
  }
  return table + fmt::format("\n{} Services of type LoadBalancer: {} at risk, {} unknown, {} safe\n", audited.size(),
                             counts[Risk::kAtRisk], counts[Risk::kUnknown], counts[Risk::kSafe]);
}

int report(const std::vector<Audited>& audited, const Options& options, bool incomplete) {
  if (options.output == "json") {
    std::puts(to_json(audited).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else if (options.output == "yaml") {
    std::fputs(to_yaml(to_json(audited)).c_str(), stdout);
  } else {
    std::fputs(to_table(audited).c_str(), stdout);
  }
  if (incomplete) {
    return kError;
  }
  const bool at_risk =
      std::ranges::any_of(audited, [](const Audited& each) { return each.assessment.risk == Risk::kAtRisk; });
  return at_risk ? kAtRisk : kNothingAtRisk;
}

}  // namespace

int run_audit(const std::vector<std::string>& arguments) {
  Options options;
  CLI::App app{
      "Which Services of type LoadBalancer will fail for clients that share a node with a backend? Exit status: 0 "
      "nothing at risk, 1 at risk, 2 error.",
      "hairpind audit"};
  app.add_option(
      "-f,--filename", options.files,
      "Manifests instead of a cluster: a YAML or JSON file, - for the standard input, or a directory; repeatable");
  app.add_option(
      "--kubeconfig", options.kubeconfig,
      "Read the cluster through this kubeconfig; default: KUBECONFIG's, ~/.kube/config, or the pod's service "
      "account");
  app.add_option("--context", options.context, "This context of the kubeconfig; default: its current one");
  app.add_option("-o,--output", options.output, "table, json or yaml")
      ->check(CLI::IsMember({"table", "json", "yaml"}))
      ->capture_default_str();
  try {
    // CLI11 takes the vector from its back.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return kNothingAtRisk;
  } catch (const CLI::Error& error) {
    complain(std::string(error.what()) + "; see 'hairpind audit --help'");
    return kError;
  }
  if (!options.files.empty()) {
    const Manifests manifests = read_manifests(options.files);
    std::ranges::for_each(manifests.notes, complain);
    std::ranges::for_each(manifests.errors, complain);
    return report(audit(manifests.services, nullptr), options, !manifests.errors.empty());
  }
  std::signal(SIGPIPE, SIG_IGN);
  const auto audited = audit_cluster(options);
  if (!audited) {
    complain(audited.error().message + " (or audit manifests with -f FILE)");
    return kError;
  }
  return report(*audited, options, false);
}

}  // namespace hairpind
