// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cluster_access.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "read_file.hpp"
#include "server_url.hpp"

namespace hairpind {

Result<std::string> PemSource::read() const {
  return file.empty() ? Result<std::string>(text) : read_file(file);
}

std::string ClusterAccess::url() const {
  const std::string name = host.contains(':') ? "[" + host + "]" : host;
  return "https://" + name + ":" + std::to_string(port) + path;
}

Result<ClusterAccess> in_cluster_access(const std::string& directory) {
  const char* const host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* const port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || *host == '\0' || port == nullptr || *port == '\0') {
    return fail(
        "Kubernetes: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so this is no pod; give "
        "--kubeconfig");
  }
  const std::string name = host;
  const auto url = parse_url("https://" + (name.contains(':') ? "[" + name + "]" : name) + ":" + port);
  if (!url) {
    return fail("Kubernetes: KUBERNETES_SERVICE_HOST '" + name + "' and KUBERNETES_SERVICE_PORT '" + port +
                "' are no address and port");
  }
  ClusterAccess access;
  access.host = url->host;
  access.port = url->port.value_or(443);
  access.ca.file = directory + "/ca.crt";
  if (auto ca = access.ca.read(); !ca) {
    return fail("Kubernetes: the service account's CA: " + ca.error().message);
  }
  access.token_file = directory + "/token";
  if (auto token = read_file(access.token_file); !token) {
    return fail("Kubernetes: the service account's token: " + token.error().message +
                " (is automountServiceAccountToken off?)");
  }
  return access;
}

}  // namespace hairpind
