// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// A certificate or key: its text, or a file that is read again for each connection, since it is replaced in time.
struct PemSource {
  std::string text;
  std::string file;  ///< wins

  [[nodiscard]] bool empty() const { return text.empty() && file.empty(); }
  [[nodiscard]] Result<std::string> read() const;
};

/// A proxy that is asked for a tunnel (HTTP CONNECT).
struct HttpProxy {
  std::string host;
  std::uint16_t port = 80;
  std::string authorization;  ///< "Basic …", or empty

  bool operator==(const HttpProxy&) const = default;
};

/// A program that hands out credentials (client.authentication.k8s.io, "client-go credential plugins").
struct ExecPlugin {
  enum class Interactive : std::uint8_t { kNever, kIfAvailable, kAlways };

  std::string command;  ///< a path, or a name that is looked for in PATH
  std::vector<std::string> arguments;
  std::vector<std::string> environment;  ///< "NAME=value", beside this process's own
  std::string api_version;               ///< "client.authentication.k8s.io/v1", or v1beta1
  std::string install_hint;              ///< for a person, where the program is missing
  std::string cluster;                   ///< spec.cluster as JSON, empty unless provideClusterInfo
  Interactive interactive = Interactive::kIfAvailable;
};

/// Where the API server is, and how to be let in.
struct ClusterAccess {
  std::string host;
  std::uint16_t port = 443;
  std::string path;         ///< "/k8s/clusters/c-m-x" where a server stands before several clusters, else empty
  std::string server_name;  ///< that the certificate is for, where that is not the host
  std::optional<HttpProxy> proxy;
  PemSource ca;            ///< what the server's certificate must be signed by; empty = the system's authorities
  bool verify = true;      ///< false only where a kubeconfig says insecure-skip-tls-verify
  std::string token;       ///< bearer token, unless token_file
  std::string token_file;  ///< wins; read anew for each request: service-account tokens rotate
  PemSource client_certificate;
  PemSource client_key;
  std::optional<ExecPlugin> exec;  ///< asked where there is neither token nor certificate

  /// "https://10.96.0.1:443"
  [[nodiscard]] std::string url() const;
};

/// Where every pod finds its service account (Kubernetes documentation, "Accessing the Kubernetes API from a Pod").
inline constexpr const char* kServiceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/// From KUBERNETES_SERVICE_HOST and _PORT and the service account's files in `directory`.
Result<ClusterAccess> in_cluster_access(const std::string& directory);

/// From kubeconfigs as kubectl reads them: of several the first that has a name wins, files are relative to the
/// kubeconfig that names them. `context`: empty for the current one. What is not supported is refused by its name.
Result<ClusterAccess> kubeconfig_access(const std::vector<std::string>& paths, const std::string& context = "");

/// The kubeconfigs that kubectl would read: KUBECONFIG's, else ~/.kube/config; only those that are there.
std::vector<std::string> default_kubeconfigs();

}  // namespace hairpind
