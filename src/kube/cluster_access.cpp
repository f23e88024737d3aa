// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cluster_access.hpp"

#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <vector>

namespace hairpind {
namespace {

Result<std::string> read_file(const std::string& path) {
  errno = 0;
  const std::ifstream file(path);
  if (!file || std::filesystem::is_directory(path)) {
    return fail_errno("read '" + path + "'", errno == 0 ? EISDIR : errno);
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<std::string> decode_base64(const std::string& encoded, const std::string& what) {
  std::string compact;
  for (const char c : encoded) {
    if (c != '\n' && c != '\r' && c != ' ') {
      compact += c;
    }
  }
  std::vector<unsigned char> decoded(compact.size() / 4 * 3 + 3);
  const int length = EVP_DecodeBlock(decoded.data(), reinterpret_cast<const unsigned char*>(compact.data()),
                                     static_cast<int>(compact.size()));
  if (length < 0) {
    return fail(what + " is not base64");
  }
  std::string text(decoded.begin(), decoded.begin() + length);
  // EVP_DecodeBlock counts the padding as zero bytes.
  for (auto c = compact.rbegin(); c != compact.rend() && *c == '=' && !text.empty(); ++c) {
    text.pop_back();
  }
  return text;
}

Result<void> parse_server(const std::string& url, ClusterAccess& access) {
  constexpr std::string_view kScheme = "https://";
  const auto wrong = [&] { return fail("API server '" + url + "': expected https://HOST[:PORT]"); };
  if (!url.starts_with(kScheme)) {
    return wrong();
  }
  std::string_view rest = std::string_view(url).substr(kScheme.size());
  rest = rest.substr(0, rest.find('/'));
  std::string_view port;
  if (rest.starts_with('[')) {
    const std::size_t close = rest.find(']');
    if (close == std::string_view::npos) {
      return wrong();
    }
    access.host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else {
    const std::size_t colon = rest.find(':');
    access.host = rest.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view() : rest.substr(colon);
  }
  access.port = 443;
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), access.port);
    if (error != std::errc() || end != port.data() + port.size() || access.port == 0) {
      return wrong();
    }
  }
  if (access.host.empty()) {
    return wrong();
  }
  return {};
}

// The entry of a kubeconfig's list that has this name.
YAML::Node named(const YAML::Node& list, const std::string& name, const char* what) {
  for (const YAML::Node& entry : list) {
    if (entry["name"].as<std::string>("") == name) {
      return entry[what];
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

/// A certificate or key, given inline as KEY-data or by file as KEY; empty if neither.
Result<std::string> inline_or_file(const YAML::Node& node, const std::string& key,
                                   const std::filesystem::path& directory) {
  if (const auto data = node[key + "-data"].as<std::string>(""); !data.empty()) {
    return decode_base64(data, "'" + key + "-data'");
  }
  if (const auto file = node[key].as<std::string>(""); !file.empty()) {
    return read_file((directory / file).string());
  }
  return std::string();
}

Result<ClusterAccess> read_kubeconfig(const std::string& path, const std::string& text) {
  const YAML::Node config = YAML::Load(text);
  const std::filesystem::path directory = std::filesystem::absolute(path).parent_path();
  if (!config.IsMap()) {
    return fail("it is no kubeconfig (expected apiVersion: v1, kind: Config)");
  }
  const auto current = config["current-context"].as<std::string>("");
  const YAML::Node context = named(config["contexts"], current, "context");
  if (!context.IsDefined()) {
    return fail("current-context '" + current + "' is not among its contexts");
  }
  const auto cluster_name = context["cluster"].as<std::string>("");
  const auto user_name = context["user"].as<std::string>("");
  const YAML::Node cluster = named(config["clusters"], cluster_name, "cluster");
  if (!cluster.IsDefined()) {
    return fail("cluster '" + cluster_name + "' is not among its clusters");
  }
  const YAML::Node user = named(config["users"], user_name, "user");
  if (!user.IsDefined()) {
    return fail("user '" + user_name + "' is not among its users");
  }
  if (user["exec"].IsDefined() || user["auth-provider"].IsDefined()) {
    return fail("user '" + user_name +
                "' needs a program to log in, which hairpind does not run; use a token or a client certificate");
  }
  ClusterAccess access;
  if (auto parsed = parse_server(cluster["server"].as<std::string>(""), access); !parsed) {
    return std::unexpected(parsed.error());
  }
  access.verify = !cluster["insecure-skip-tls-verify"].as<bool>(false);
  access.token = user["token"].as<std::string>("");
  if (const auto file = user["tokenFile"].as<std::string>(""); !file.empty()) {
    access.token_file = (directory / file).string();
    if (auto readable = read_file(access.token_file); !readable) {
      return std::unexpected(readable.error());
    }
  }
  struct Pem {
    const YAML::Node& node;
    const char* key;
    std::string& into;
  };
  for (const Pem& pem : {Pem{cluster, "certificate-authority", access.ca_pem},
                         Pem{user, "client-certificate", access.client_certificate_pem},
                         Pem{user, "client-key", access.client_key_pem}}) {
    auto content = inline_or_file(pem.node, pem.key, directory);
    if (!content) {
      return std::unexpected(content.error());
    }
    pem.into = *std::move(content);
  }
  return access;
}

}  // namespace

std::string ClusterAccess::url() const {
  const std::string name = host.contains(':') ? "[" + host + "]" : host;
  return "https://" + name + ":" + std::to_string(port);
}

Result<ClusterAccess> in_cluster_access(const std::string& directory) {
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || *host == '\0' || port == nullptr || *port == '\0') {
    return fail(
        "Kubernetes: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod; give "
        "--kubeconfig");
  }
  ClusterAccess access;
  const std::string name = host;
  if (auto parsed = parse_server("https://" + (name.contains(':') ? "[" + name + "]" : name) + ":" + port, access);
      !parsed) {
    return fail("Kubernetes: " + parsed.error().message);
  }
  auto ca = read_file(directory + "/ca.crt");
  if (!ca) {
    return fail("Kubernetes: the service account's CA: " + ca.error().message);
  }
  access.ca_pem = *std::move(ca);
  access.token_file = directory + "/token";
  if (auto token = read_file(access.token_file); !token) {
    return fail("Kubernetes: the service account's token: " + token.error().message +
                " (is automountServiceAccountToken off?)");
  }
  return access;
}

Result<ClusterAccess> kubeconfig_access(const std::string& path) {
  const auto text = read_file(path);
  if (!text) {
    return fail("kubeconfig: " + text.error().message);
  }
  try {
    auto access = read_kubeconfig(path, *text);
    if (!access) {
      return fail("kubeconfig '" + path + "': " + access.error().message);
    }
    return access;
  } catch (const YAML::Exception& error) {
    return fail("kubeconfig '" + path + "': " + error.what());
  }
}

}  // namespace hairpind
