// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Where the API server is, and how to be let in.
struct ClusterAccess {
  std::string host;
  std::uint16_t port = 443;
  std::string ca_pem;      ///< what the server's certificate must be signed by; empty = the system's authorities
  bool verify = true;      ///< false only where a kubeconfig says insecure-skip-tls-verify
  std::string token;       ///< bearer token, unless token_file
  std::string token_file;  ///< read anew for each request: service-account tokens rotate
  std::string client_certificate_pem;
  std::string client_key_pem;

  /// "https://10.96.0.1:443"
  [[nodiscard]] std::string url() const;
};

/// Where every pod finds its service account (Kubernetes documentation, "Accessing the Kubernetes API from a Pod").
inline constexpr const char* kServiceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

/// From KUBERNETES_SERVICE_HOST and _PORT and the service account's files in `directory`.
Result<ClusterAccess> in_cluster_access(const std::string& directory);

/// From a kubeconfig's current context: token, token file or client certificate; certificates inline or by file,
/// relative to the kubeconfig. Users that need a program to run (exec, auth-provider) are refused.
Result<ClusterAccess> kubeconfig_access(const std::string& path);

}  // namespace hairpind
