// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <httplib.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "store.hpp"

namespace hairpind::testing {

/// metav1.Status, in the real server's words.
nlohmann::ordered_json failure(int code, const std::string& reason, const std::string& message,
                               const nlohmann::ordered_json& details = nullptr);
nlohmann::ordered_json unauthorized();
nlohmann::ordered_json bad_request(const std::string& message);
nlohmann::ordered_json no_such_resource();
nlohmann::ordered_json not_found(const std::string& resource, const std::string& name);
nlohmann::ordered_json too_old(std::uint64_t asked, std::uint64_t oldest);

struct Served {
  const Resource* resource;
  bool writable;
};

/// The body of a discovery document, or of an OpenAPI one; "" where there is none.
std::string discovery(const std::string& path, const std::string& address, const std::vector<Served>& served);

/// What RBAC makes of a request (k8s.io/apiserver, RequestInfo).
struct Target {
  std::string verb;
  std::string group;
  std::string resource;  ///< with "/subresource" if there is one; empty: a request for no resource
  std::string name_space;
  std::string name;

  /// "list pods", as in permissions and in the log.
  [[nodiscard]] std::string text() const { return verb + " " + resource + (group.empty() ? "" : "." + group); }
};

Target parse_target(const httplib::Request& request);
/// `selected_name`: of a field selector, "" for none.
nlohmann::ordered_json forbidden(const std::string& user, const Target& target, const std::string& selected_name);
std::string selected_name(const httplib::Request& request);

/// Where a list goes on. revision -1: in the present state, whatever it was when the list began.
struct Continue {
  std::int64_t revision = 0;
  std::string start;  ///< the last key of the page before
};

std::string encode(const Continue& next);
std::optional<Continue> decode(std::string token);

/// A decimal number and nothing else.
std::optional<std::uint64_t> number(const std::string& text);
std::string base64(const std::string& data);

/// The one object that clients send, JSON or protobuf; discarded if it is neither.
nlohmann::json parse_access_review(const std::string& body);

void respond(const httplib::Request& request, httplib::Response& response, int status, const std::string& body);
void respond(const httplib::Request& request, httplib::Response& response, const nlohmann::ordered_json& status);

}  // namespace hairpind::testing
