// SPDX-License-Identifier: Apache-2.0
#include <yaml-cpp/yaml.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "hairpind/core/base64.hpp"
#include "hairpind/kube/cluster_access.hpp"
#include "read_file.hpp"
#include "server_url.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kExecGroup = "client.authentication.k8s.io/";

/// One of several kubeconfigs.
struct Kubeconfig {
  YAML::Node root;
  std::filesystem::path directory;  ///< what its files are relative to
};

/// An entry of a kubeconfig, and where it stands.
struct Entry {
  YAML::Node node;
  std::filesystem::path directory;
};

std::string text_of(const YAML::Node& node, const char* key) {
  return node[key].as<std::string>("");
}

bool has(const YAML::Node& node, const char* key) {
  return node[key].IsDefined() && !node[key].IsNull();
}

/// The first entry of this name, over all files.
std::optional<Entry> named(const std::vector<Kubeconfig>& configs, const char* list, const std::string& name,
                           const char* what) {
  for (const Kubeconfig& config : configs) {
    for (const YAML::Node& entry : config.root[list]) {
      if (text_of(entry, "name") == name && has(entry, what)) {
        return Entry{.node = entry[what], .directory = config.directory};
      }
    }
  }
  return std::nullopt;
}

/// YAML's block scalars have them in base64.
std::string without_line_breaks(std::string text) {
  std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  return text;
}

/// A certificate or key, given inline as KEY-data or by file as KEY; empty if neither.
Result<PemSource> pem_source(const Entry& entry, const std::string& key) {
  if (const auto data = text_of(entry.node, (key + "-data").c_str()); !data.empty()) {
    auto text = decode_base64(without_line_breaks(data));
    return text ? Result<PemSource>({.text = *std::move(text), .file = ""}) : fail("'" + key + "-data' is not base64");
  }
  if (const auto file = text_of(entry.node, key.c_str()); !file.empty()) {
    PemSource source{.text = "", .file = (entry.directory / file).string()};
    if (auto readable = source.read(); !readable) {
      return std::unexpected(readable.error());
    }
    return source;
  }
  return PemSource();
}

Result<HttpProxy> parse_proxy(const std::string& text) {
  const auto url = parse_url(text);
  if (!url) {
    return fail("proxy-url '" + text + "': expected http://HOST:PORT");
  }
  if (url->scheme != "http") {
    return fail("proxy-url '" + text + "': a proxy by " + url->scheme + " is not supported; expected http://HOST:PORT");
  }
  return HttpProxy{.host = url->host,
                   .port = url->port.value_or(80),
                   .authorization = url->user_info.empty() ? "" : "Basic " + encode_base64(url->user_info)};
}

/// What a plugin is told of the cluster (ExecCredential, spec.cluster).
std::string describe_cluster(const YAML::Node& cluster, const PemSource& ca) {
  Json description = {{"server", text_of(cluster, "server")}};
  if (const auto pem = ca.read(); pem && !pem->empty()) {
    description["certificate-authority-data"] = encode_base64(*pem);
  }
  for (const char* const key : {"tls-server-name", "proxy-url"}) {
    if (const auto value = text_of(cluster, key); !value.empty()) {
      description[key] = value;
    }
  }
  if (cluster["insecure-skip-tls-verify"].as<bool>(false)) {
    description["insecure-skip-tls-verify"] = true;
  }
  return description.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ExecPlugin> parse_exec(const Entry& user, const std::string& cluster) {
  const YAML::Node exec = user.node["exec"];
  ExecPlugin plugin;
  plugin.api_version = text_of(exec, "apiVersion");
  const std::string_view version = plugin.api_version;
  if (!version.starts_with(kExecGroup) ||
      (version.substr(kExecGroup.size()) != "v1" && version.substr(kExecGroup.size()) != "v1beta1")) {
    return fail("exec: apiVersion '" + plugin.api_version + "' is not supported; expected " + std::string(kExecGroup) +
                "v1 or v1beta1");
  }
  plugin.command = text_of(exec, "command");
  if (plugin.command.empty()) {
    return fail("exec: no command");
  }
  // With a slash it is a path, and like all of them relative to its kubeconfig.
  if (plugin.command.contains('/')) {
    plugin.command = (user.directory / plugin.command).string();
  }
  for (const YAML::Node& argument : exec["args"]) {
    plugin.arguments.push_back(argument.as<std::string>(""));
  }
  for (const YAML::Node& variable : exec["env"]) {
    plugin.environment.push_back(text_of(variable, "name") + "=" + text_of(variable, "value"));
  }
  plugin.install_hint = text_of(exec, "installHint");
  if (exec["provideClusterInfo"].as<bool>(false)) {
    plugin.cluster = cluster;
  }
  constexpr std::array kModes{std::pair{"", ExecPlugin::Interactive::kIfAvailable},
                              std::pair{"IfAvailable", ExecPlugin::Interactive::kIfAvailable},
                              std::pair{"Never", ExecPlugin::Interactive::kNever},
                              std::pair{"Always", ExecPlugin::Interactive::kAlways}};
  const auto mode = text_of(exec, "interactiveMode");
  for (const auto& [name, value] : kModes) {
    if (mode == name) {
      plugin.interactive = value;
      return plugin;
    }
  }
  return fail("exec: interactiveMode '" + mode + "' is not supported; expected Never, IfAvailable or Always");
}

Result<void> take_cluster(const Entry& cluster, ClusterAccess& access) {
  const auto server = text_of(cluster.node, "server");
  const auto url = parse_url(server);
  if (!url || url->scheme != "https" || !url->user_info.empty()) {
    return fail("API server '" + server + "': expected https://HOST[:PORT][/PATH]");
  }
  access.host = url->host;
  access.port = url->port.value_or(443);
  access.path = url->path;
  access.server_name = text_of(cluster.node, "tls-server-name");
  access.verify = !cluster.node["insecure-skip-tls-verify"].as<bool>(false);
  if (const auto proxy = text_of(cluster.node, "proxy-url"); !proxy.empty()) {
    auto parsed = parse_proxy(proxy);
    if (!parsed) {
      return std::unexpected(parsed.error());
    }
    access.proxy = *std::move(parsed);
  }
  auto ca = pem_source(cluster, "certificate-authority");
  if (!ca) {
    return std::unexpected(ca.error());
  }
  access.ca = *std::move(ca);
  return {};
}

Result<void> take_user(const Entry& user, const std::string& name, const YAML::Node& cluster, ClusterAccess& access) {
  // To ignore one of these would be to ask as somebody else.
  for (const char* const unsupported :
       {"auth-provider", "username", "password", "as", "as-uid", "as-groups", "as-user-extra"}) {
    if (has(user.node, unsupported)) {
      return fail("user '" + name + "': '" + unsupported +
                  "' is not supported; use a token, a client certificate or exec");
    }
  }
  access.token = text_of(user.node, "token");
  if (const auto file = text_of(user.node, "tokenFile"); !file.empty()) {
    access.token_file = (user.directory / file).string();
    if (auto readable = read_file(access.token_file); !readable) {
      return std::unexpected(readable.error());
    }
  }
  for (const auto& [key, into] :
       {std::pair{"client-certificate", &access.client_certificate}, std::pair{"client-key", &access.client_key}}) {
    auto source = pem_source(user, key);
    if (!source) {
      return std::unexpected(source.error());
    }
    *into = *std::move(source);
  }
  if (has(user.node, "exec")) {
    auto plugin = parse_exec(user, describe_cluster(cluster, access.ca));
    if (!plugin) {
      return fail("user '" + name + "': " + plugin.error().message);
    }
    access.exec = *std::move(plugin);
  }
  return {};
}

Result<ClusterAccess> access_of(const std::vector<Kubeconfig>& configs, std::string context_name) {
  for (const Kubeconfig& config : configs) {
    if (context_name.empty()) {
      context_name = text_of(config.root, "current-context");
    }
  }
  const auto context = named(configs, "contexts", context_name, "context");
  if (!context) {
    return fail(context_name.empty() ? "no current-context ''; name one with --context"
                                     : "context '" + context_name + "' is not among its contexts");
  }
  const auto cluster_name = text_of(context->node, "cluster");
  const auto user_name = text_of(context->node, "user");
  const auto cluster = named(configs, "clusters", cluster_name, "cluster");
  if (!cluster) {
    return fail("cluster '" + cluster_name + "' is not among its clusters");
  }
  const auto user = named(configs, "users", user_name, "user");
  if (!user) {
    return fail("user '" + user_name + "' is not among its users");
  }
  ClusterAccess access;
  if (auto taken = take_cluster(*cluster, access); !taken) {
    return std::unexpected(taken.error());
  }
  if (auto taken = take_user(*user, user_name, cluster->node, access); !taken) {
    return std::unexpected(taken.error());
  }
  return access;
}

}  // namespace

Result<ClusterAccess> kubeconfig_access(const std::vector<std::string>& paths, const std::string& context) {
  std::string all;
  std::vector<Kubeconfig> configs;
  try {
    for (const std::string& path : paths) {
      const auto text = read_file(path);
      if (!text) {
        return fail("kubeconfig: " + text.error().message);
      }
      all += (all.empty() ? "'" : ", '") + path + "'";
      Kubeconfig config{.root = YAML::Load(*text), .directory = std::filesystem::absolute(path).parent_path()};
      if (!config.root.IsMap()) {
        return fail("kubeconfig '" + path + "': it is no kubeconfig (expected apiVersion: v1, kind: Config)");
      }
      configs.push_back(std::move(config));
    }
    auto access = access_of(configs, context);
    if (!access) {
      return fail("kubeconfig " + all + ": " + access.error().message);
    }
    return access;
  } catch (const YAML::Exception& error) {
    return fail("kubeconfig '" + (paths.size() > configs.size() ? paths[configs.size()] : paths.front()) +
                "': " + error.what());
  }
}

std::vector<std::string> default_kubeconfigs() {
  std::vector<std::string> paths;
  const char* const named = std::getenv("KUBECONFIG");
  const char* const home = std::getenv("HOME");
  if (named != nullptr && *named != '\0') {
    std::string_view rest = named;
    while (!rest.empty()) {
      const std::size_t end = std::min(rest.find(':'), rest.size());
      if (end > 0) {
        paths.emplace_back(rest.substr(0, end));
      }
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
  } else if (home != nullptr && *home != '\0') {
    paths.push_back(std::string(home) + "/.kube/config");
  }
  std::error_code ignored;
  std::erase_if(paths, [&](const std::string& path) { return !std::filesystem::exists(path, ignored); });
  return paths;
}

}  // namespace hairpind
