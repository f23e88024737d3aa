// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "certificates.hpp"
#include "faults.hpp"
#include "schema.hpp"

namespace hairpind::testing {

struct ApiServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any
  std::string token = "a-service-account-token";
  std::string user = "system:serviceaccount:hairpind:hairpind";  ///< whom the token stands for
  Certificates certificates = make_certificates();
  std::chrono::milliseconds bookmark_interval{60000};  ///< as the real server's
  Schema schema = {};  ///< the kinds that clients may make and change, beside Events: of those in deploy/
};

/// The part of a Kubernetes API server that a client sees which reads pods, services, nodes and namespaces, and writes
/// Events; kubectl works with it (kubectl_fidelity_test.sh). With a schema it takes what deploy/ has, too, at least as
/// a dry run (deploy/dry_run_test.sh). Stricter than the real one: there is no anonymous user.
///
/// All members are thread safe. Resources are named "pods", "services", "nodes", "namespaces", "events", "gateways",
/// "targetgroupbindings", "ingresses", "ciliumidentities"; requests "list pods", "list
/// gateways.gateway.networking.k8s.io".
class ApiServer {
 public:
  /// Binds in the calling thread, and so in its network namespace; serves in threads of its own. Throws if it cannot.
  explicit ApiServer(ApiServerOptions options = {});
  /// Ends all watches and connections at once.
  ~ApiServer();
  ApiServer(const ApiServer&) = delete;
  ApiServer& operator=(const ApiServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string url() const;
  [[nodiscard]] const Certificates& certificates() const;
  [[nodiscard]] std::string token() const;
  /// From now on the only one that is accepted.
  void set_token(const std::string& token);

  /// Creates or replaces by metadata.name and, where there are any, metadata.namespace; tells the watches. uid and
  /// creationTimestamp stay as they were unless given, resourceVersion is set. Returns the new resourceVersion.
  std::uint64_t upsert(const std::string& resource, nlohmann::json object);
  /// False if there is none. `name_space` is "" for nodes and namespaces.
  bool remove(const std::string& resource, const std::string& name_space, const std::string& name);
  /// All of a resource, by namespace and name, as they stand: those that clients have made, too.
  [[nodiscard]] std::vector<nlohmann::json> objects(const std::string& resource) const;
  [[nodiscard]] std::uint64_t resource_version() const;
  /// Forgets how it came to the present state: watches and continued lists from any version so far get 410 Gone, as
  /// after something else in the cluster had changed last. Open watches miss nothing.
  void compact();

  /// Replaces "all"; {"list pods", "watch pods"}. Open watches go on.
  void set_permissions(const std::set<std::string>& allowed);

  void set_faults(const Faults& faults);
  /// The next `count` requests for resources, or only the `request` such as "watch pods", get `status`;
  /// `retry_after_seconds` 0: without Retry-After. Replaces what is left of an earlier call.
  void fail_next(int count, int status, int retry_after_seconds = 0, const std::string& request = "");

  /// How a watch ends: as the server ends it after timeoutSeconds, or as a broken connection does.
  enum class End : std::uint8_t { kClean, kBroken };
  /// These three are for the watches open now, of one resource or, if "", of all. They return how many these are.
  std::size_t close_watches(const std::string& resource = "", End end = End::kBroken);
  /// {"type":"ERROR"} with a Status of this code, then the end of the watch.
  std::size_t send_error_event(const std::string& resource = "", int code = 410);
  /// A line as it stands, JSON or not.
  std::size_t send_line(const std::string& line, const std::string& resource = "");
  [[nodiscard]] std::size_t open_watches(const std::string& resource = "") const;

  /// "list pods", "watch pods", "create selfsubjectaccessreviews.authorization.k8s.io": every request for a resource
  /// since the start or forget_requests(), whatever became of it, in the order they came.
  [[nodiscard]] std::vector<std::string> requests() const;
  /// The same requests as path and query: "/api/v1/pods?limit=500".
  [[nodiscard]] std::vector<std::string> targets() const;
  [[nodiscard]] std::size_t count_of(const std::string& request) const;
  void forget_requests();
  /// Answers that went out by gzip.
  [[nodiscard]] std::size_t compressed() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

enum class Credential : std::uint8_t { kToken, kClientCertificate };

/// A kubeconfig as kubectl writes one, everything inline. `ca` is what the client is to trust: "" for the server's.
std::string kubeconfig(const ApiServer& server, Credential credential = Credential::kToken, const std::string& ca = "");

}  // namespace hairpind::testing
