// SPDX-License-Identifier: Apache-2.0
// What the server answers, but for watches.
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>

#include "server_state.hpp"

namespace hairpind::testing {

using nlohmann::json;
using nlohmann::ordered_json;

std::optional<std::string> ApiServer::State::user_of(const httplib::Request& request) const {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(request.ssl), X509_free);
  if (certificate && SSL_get_verify_result(request.ssl) == X509_V_OK) {
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof(name));
    return name;
  }
  if (request.get_header_value("Authorization") == "Bearer " + options.token) {
    return options.user;
  }
  return std::nullopt;
}

void ApiServer::State::handle(const httplib::Request& request, httplib::Response& response) {
  const int fd = SSL_get_fd(request.ssl);
  std::unique_lock lock(mutex);
  if (faults.drop_connections) {
    shutdown(fd, SHUT_RDWR);
    response.status = 500;  // goes nowhere
    return;
  }
  const Target target = parse_target(request);
  if (!target.resource.empty()) {
    log.emplace_back(target.text(), request.target);
  }
  while (faults.stall_requests && !stopping && !peer_gone(fd)) {
    changed.wait_for(lock, std::chrono::milliseconds(100));
  }
  const std::optional<std::string> user = user_of(request);
  if (!user || faults.token_rejected) {
    respond(request, response, unauthorized());
    return;
  }
  if (target.resource.empty()) {
    if (request.path == "/healthz" || request.path == "/livez" || request.path == "/readyz") {
      response.set_content("ok", "text/plain; charset=utf-8");
      return;
    }
    if (request.path == "/openapi/v2") {
      // Where kubectl asks of a kind that version 3 has not: a document that has none, either.
      response.set_content("\n\0032.0", "application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
      return;
    }
    std::vector<Served> served;
    for (const Resource& resource : resources()) {
      if (is_served(resource)) {
        served.push_back({.resource = &resource, .writable = is_writable(resource)});
      }
    }
    const std::string body = discovery(request.path, options.host + ":" + std::to_string(port), served);
    if (body.empty()) {
      response.status = 404;
      response.set_content("404 page not found\n", "text/plain; charset=utf-8");
    } else {
      respond(request, response, 200, body);
    }
    return;
  }
  if (faults.endless_status != 0) {
    response.status = faults.endless_status;
    response.set_chunked_content_provider("application/json", [this, fd](std::size_t offset, httplib::DataSink& sink) {
      const std::string piece =
          offset == 0 ? R"({"kind":"List","items":[{"metadata":{"name":")" : std::string(65536, 'a');
      const std::unique_lock still(mutex);
      return !stopping && !peer_gone(fd) && sink.write(piece.data(), piece.size());
    });
    return;
  }
  if (failing.takes(target.text())) {
    if (failing.retry_after_seconds > 0) {
      response.set_header("Retry-After", std::to_string(failing.retry_after_seconds));
    }
    respond(request, response, scripted_failure(failing.status, failing.retry_after_seconds));
    return;
  }
  if (target.text() == "create selfsubjectaccessreviews.authorization.k8s.io") {
    review_access(request, response);  // everybody may
    return;
  }
  if (!is_allowed(target.text())) {
    respond(request, response, forbidden(*user, target, selected_name(request)));
    return;
  }
  Scope scope{.resource = find_resource(target.resource, target.group), .name_space = target.name_space, .terms = {}};
  if (scope.resource == nullptr || !is_served(*scope.resource) ||
      (faults.without_cilium && target.group == "cilium.io") ||
      (faults.without_gateways && (target.group == "gateway.networking.k8s.io" || target.group == "elbv2.k8s.aws"))) {
    respond(request, response, no_such_resource());
    return;
  }
  if (target.verb == "get") {
    get(request, response, target);
    return;
  }
  if (target.verb == "create" && is_writable(*scope.resource)) {
    create(request, response, target);
    return;
  }
  if (target.verb == "patch" && is_writable(*scope.resource)) {
    patch(request, response, target);
    return;
  }
  if (target.verb != "list" && target.verb != "watch") {
    respond(request, response,
            failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource",
                    ordered_json::object()));
    return;
  }
  std::string error;
  const std::string selector = request.get_param_value("fieldSelector");
  if (faults.old_selectors && selector.find("spec.type") != std::string::npos) {
    respond(request, response, bad_request("field label not supported: spec.type"));
  } else if (!parse_field_selector(selector, scope, error)) {
    respond(request, response, bad_request(error));
  } else if (target.verb == "watch") {
    watch(request, response, scope);
  } else {
    list(request, response, scope);
  }
}

void ApiServer::State::review_access(const httplib::Request& request, httplib::Response& response) const {
  json review = parse_access_review(request.body);
  if (!review.is_object() || !review["spec"].is_object()) {
    respond(request, response, bad_request("the request body is no SelfSubjectAccessReview"));
    return;
  }
  const json attributes = review["spec"].value("resourceAttributes", json::object());
  std::string resource = attributes.value("resource", "");
  if (const std::string subresource = attributes.value("subresource", ""); !subresource.empty()) {
    resource += "/" + subresource;
  }
  if (const std::string group = attributes.value("group", ""); !group.empty()) {
    resource += "." + group;
  }
  review["kind"] = "SelfSubjectAccessReview";
  review["apiVersion"] = "authorization.k8s.io/v1";
  review["status"] = {{"allowed", is_allowed(attributes.value("verb", "") + " " + resource)}};
  respond(request, response, 201, review.dump());
}

void ApiServer::State::get(const httplib::Request& request, httplib::Response& response, const Target& target) {
  const Resource* resource = find_resource(target.resource, target.group);
  const auto& all = store.objects(*resource);
  const auto found = all.find(resource->namespaced ? target.name_space + "/" + target.name : target.name);
  if (found == all.end()) {
    respond(request, response, not_found(target.resource, target.name));
  } else {
    respond(request, response, 200, with_kind(*resource, found->second->text));
  }
}

void ApiServer::State::list(const httplib::Request& request, httplib::Response& response, const Scope& scope) const {
  const std::string token = request.get_param_value("continue");
  const std::string asked_version = request.get_param_value("resourceVersion");
  const std::optional<std::uint64_t> asked = asked_version.empty() ? 0 : number(asked_version);
  const std::optional<std::uint64_t> limit =
      request.get_param_value("limit").empty() ? 0 : number(request.get_param_value("limit"));
  if (!asked || !limit) {
    respond(request, response, bad_request("resourceVersion or limit: Invalid value"));
    return;
  }
  std::uint64_t at = store.revision();
  Continue from;
  if (!token.empty()) {
    const std::optional<Continue> decoded = decode(token);
    if (!decoded) {
      respond(request, response, bad_request("continue key is not valid: " + token));
      return;
    }
    if (!asked_version.empty() && asked_version != "0") {
      respond(request, response, bad_request("specifying resource version is not allowed when using continue"));
      return;
    }
    from = *decoded;
    if (from.revision >= 0) {
      at = static_cast<std::uint64_t>(from.revision);
    }
    if (at < store.compacted()) {
      ordered_json status = failure(
          410, "Expired",
          "The provided continue parameter is too old to display a consistent list result. You can start a new list "
          "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
          "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
          "modified, or deleted between the time the first chunk was returned and now may show up in the list.");
      status["metadata"]["continue"] = encode({.revision = -1, .start = from.start});
      respond(request, response, status);
      return;
    }
  } else if (*asked > store.revision()) {
    respond(request, response,
            failure(504, "Timeout",
                    "Too large resource version: " + std::to_string(*asked) +
                        ", current: " + std::to_string(store.revision()),
                    {{"causes", {{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}}},
                     {"retryAfterSeconds", 1}}));
    return;
  } else if (request.get_param_value("resourceVersionMatch") == "Exact") {
    at = *asked;
    if (at < store.compacted()) {
      respond(request, response, too_old(at, store.compacted()));
      return;
    }
  }
  // Version 0 is answered from the watch cache, which has no pages.
  std::size_t page_size = asked_version == "0" && token.empty() ? 0 : *limit;
  if (faults.page_size > 0) {
    page_size = page_size == 0 ? faults.page_size : std::min(page_size, faults.page_size);
  }

  const std::map<std::string, ObjectPtr> all = store.objects_at(*scope.resource, at);
  std::vector<std::pair<std::string, ObjectPtr>> matching;
  for (auto each = token.empty() ? all.begin() : all.upper_bound(from.start); each != all.end(); ++each) {
    if (scope.contains(each->second)) {
      matching.emplace_back(*each);
    }
  }
  const std::size_t count = page_size == 0 ? matching.size() : std::min(page_size, matching.size());
  ordered_json metadata = {{"resourceVersion", std::to_string(at)}};
  if (count < matching.size()) {
    metadata["continue"] = encode({.revision = static_cast<std::int64_t>(at), .start = matching[count - 1].first});
    if (scope.terms.empty()) {
      metadata["remainingItemCount"] = matching.size() - count;
    }
  }
  const std::string group = *scope.resource->group == '\0' ? "" : std::string(scope.resource->group) + "/";
  std::string body = R"({"kind":")" + std::string(scope.resource->kind) + R"(List","apiVersion":")" + group +
                     scope.resource->version + R"(","metadata":)" + metadata.dump() + R"(,"items":[)";
  for (std::size_t i = 0; i < count; ++i) {
    body += (i == 0 ? "" : ",") + matching[i].second->text;
  }
  respond(request, response, 200, body + "]}");
}

}  // namespace hairpind::testing
