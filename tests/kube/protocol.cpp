// SPDX-License-Identifier: Apache-2.0
#include "protocol.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

namespace hairpind::testing {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

/// A length-delimited field of a protobuf message; "" if it has none or is malformed.
std::string_view protobuf_field(std::string_view message, std::uint64_t wanted) {
  const auto varint = [&message] {
    std::uint64_t value = 0;
    for (unsigned shift = 0; !message.empty() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.front());
      message.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) {
        break;
      }
    }
    return value;
  };
  while (!message.empty()) {
    const std::uint64_t tag = varint();
    if ((tag & 7) == 0) {
      varint();
      continue;
    }
    const std::uint64_t length = varint();
    if ((tag & 7) != 2 || length > message.size()) {
      return {};
    }
    if (tag >> 3 == wanted) {
      return message.substr(0, length);
    }
    message.remove_prefix(length);
  }
  return {};
}

}  // namespace

std::string base64(const std::string& data) {
  std::string text(4 * ((data.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(data.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

std::string encode(const Continue& next) {
  std::string text = base64(ordered_json{{"v", "meta.k8s.io/v1"}, {"rv", next.revision}, {"start", next.start}}.dump());
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::optional<Continue> decode(std::string token) {
  std::ranges::replace(token, '-', '+');
  std::ranges::replace(token, '_', '/');
  const std::size_t padding = (4 - token.size() % 4) % 4;
  token.append(padding, '=');
  std::string text(token.size(), '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(token.data()), static_cast<int>(token.size()));
  if (length < static_cast<int>(padding)) {
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(length) - padding);
  const json value = json::parse(text, nullptr, false);
  if (!value.is_object() || !value.contains("rv") || !value["rv"].is_number_integer()) {
    return std::nullopt;
  }
  return Continue{.revision = value["rv"].get<std::int64_t>(), .start = value.value("start", "")};
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

ordered_json failure(int code, const std::string& reason, const std::string& message, const ordered_json& details) {
  ordered_json status = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", ordered_json::object()},
                         {"status", "Failure"}, {"message", message}, {"reason", reason}};
  if (!details.is_null()) {
    status["details"] = details;
  }
  status["code"] = code;
  return status;
}

ordered_json unauthorized() {
  return failure(401, "Unauthorized", "Unauthorized");
}

ordered_json bad_request(const std::string& message) {
  return failure(400, "BadRequest", message);
}

ordered_json no_such_resource() {
  return failure(404, "NotFound", "the server could not find the requested resource", ordered_json::object());
}

ordered_json not_found(const std::string& resource, const std::string& name) {
  return failure(404, "NotFound", resource + " \"" + name + "\" not found", {{"name", name}, {"kind", resource}});
}

ordered_json too_old(std::uint64_t asked, std::uint64_t oldest) {
  return failure(410, "Expired",
                 "too old resource version: " + std::to_string(asked) + " (" + std::to_string(oldest) + ")");
}

namespace {

ordered_json group_entry(const std::string& group, const std::string& version) {
  const ordered_json entry = {{"groupVersion", group + "/" + version}, {"version", version}};
  return {{"name", group}, {"versions", {entry}}, {"preferredVersion", entry}};
}

std::string prefix_of(const Resource& resource) {
  return (*resource.group == '\0' ? std::string("/api/") : "/apis/" + std::string(resource.group) + "/") +
         resource.version;
}

ordered_json resource_list(const std::string& path, const std::vector<Served>& served) {
  ordered_json list = ordered_json::array();
  for (const auto& [resource, writable] : served) {
    if (prefix_of(*resource) != path) {
      continue;
    }
    ordered_json entry = {{"name", resource->name},
                          {"singularName", resource->singular},
                          {"namespaced", resource->namespaced},
                          {"kind", resource->kind},
                          {"verbs", writable ? ordered_json{"create", "get", "list", "patch", "watch"}
                                             : ordered_json{"get", "list", "watch"}}};
    if (*resource->short_name != '\0') {
      entry["shortNames"] = {resource->short_name};
    }
    list.push_back(entry);
  }
  return list;
}

/// Of OpenAPI only what kubectl asks before it leaves the validation to the server: that a patch has these parameters.
ordered_json openapi_paths(const std::string& path, const std::vector<Served>& served) {
  ordered_json paths = ordered_json::object();
  for (const auto& [resource, writable] : served) {
    if (writable && prefix_of(*resource) == path) {
      paths[path + (resource->namespaced ? "/namespaces/{namespace}/" : "/") + resource->name + "/{name}"]["patch"] = {
          {"parameters", {{{"name", "dryRun"}, {"in", "query"}}, {{"name", "fieldValidation"}, {"in", "query"}}}},
          {"x-kubernetes-group-version-kind",
           {{"group", resource->group}, {"version", resource->version}, {"kind", resource->kind}}}};
    }
  }
  return paths;
}

}  // namespace

std::string discovery(const std::string& path, const std::string& address, const std::vector<Served>& all) {
  // kubectl is not shown what only the agent asks for.
  std::vector<Served> served;
  std::map<std::string, std::string> groups = {{"authorization.k8s.io", "v1"}};
  for (const Served& each : all) {
    if (*each.resource->group == '\0' || each.writable) {
      served.push_back(each);
    }
    if (*each.resource->group != '\0' && each.writable) {
      groups[each.resource->group] = each.resource->version;
    }
  }
  if (path == "/api") {
    return ordered_json{{"kind", "APIVersions"},
                        {"versions", {"v1"}},
                        {"serverAddressByClientCIDRs", {{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", address}}}}}
        .dump();
  }
  if (path == "/apis") {
    ordered_json list = {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", ordered_json::array()}};
    for (const auto& [group, version] : groups) {
      list["groups"].push_back(group_entry(group, version));
    }
    return list.dump();
  }
  if (path == "/apis/authorization.k8s.io/v1") {
    return ordered_json{{"kind", "APIResourceList"},
                        {"apiVersion", "v1"},
                        {"groupVersion", "authorization.k8s.io/v1"},
                        {"resources",
                         {{{"name", "selfsubjectaccessreviews"},
                           {"singularName", "selfsubjectaccessreview"},
                           {"namespaced", false},
                           {"kind", "SelfSubjectAccessReview"},
                           {"verbs", {"create"}}}}}}
        .dump();
  }
  for (const auto& [group, version] : groups) {
    if (path == "/apis/" + group) {
      ordered_json entry = {{"kind", "APIGroup"}, {"apiVersion", "v1"}};
      entry.update(group_entry(group, version));
      return entry.dump();
    }
  }
  if (const ordered_json list = resource_list(path, served); !list.empty()) {
    const std::string version = path.substr(path.find('/', 1) + 1);  // "v1", "apps/v1"
    return ordered_json{{"kind", "APIResourceList"}, {"groupVersion", version}, {"resources", list}}.dump();
  }
  constexpr std::string_view kOpenApi = "/openapi/v3";
  if (path == kOpenApi) {
    ordered_json paths = ordered_json::object();
    for (const Served& each : served) {
      const std::string prefix = prefix_of(*each.resource);
      paths[prefix.substr(1)] = {{"serverRelativeURL", std::string(kOpenApi) + prefix}};
    }
    return ordered_json{{"paths", paths}}.dump();
  }
  if (path.starts_with(kOpenApi)) {
    const ordered_json paths = openapi_paths(path.substr(kOpenApi.size()), served);
    return paths.empty() ? "" : ordered_json{{"openapi", "3.0.0"}, {"paths", paths}}.dump();
  }
  if (path == "/version") {
    return ordered_json{{"major", "1"},
                        {"minor", "32"},
                        {"gitVersion", "v1.32.0"},
                        {"gitCommit", "70d3cc986aa8221cd1dfb1121852688902d3bf53"},
                        {"gitTreeState", "clean"},
                        {"buildDate", "2024-12-11T17:59:15Z"},
                        {"goVersion", "go1.23.3"},
                        {"compiler", "gc"},
                        {"platform", "linux/amd64"}}
        .dump();
  }
  return "";
}

Target parse_target(const httplib::Request& request) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (start < request.path.size()) {
    const std::size_t end = std::min(request.path.find('/', start), request.path.size());
    if (end > start) {
      parts.push_back(request.path.substr(start, end - start));
    }
    start = end + 1;
  }
  Target target;
  std::size_t at = 0;
  if (parts.size() > 2 && parts[0] == "api") {
    at = 2;
  } else if (parts.size() > 3 && parts[0] == "apis") {
    target.group = parts[1];
    at = 3;
  } else {
    return target;
  }
  if (parts[at] == "namespaces" && parts.size() > at + 1) {
    target.name_space = parts[at + 1];
    if (parts.size() > at + 2) {
      at += 2;
    }
  }
  target.resource = parts[at];
  if (parts.size() > at + 1) {
    target.name = parts[at + 1];
  }
  if (parts.size() > at + 2) {
    target.resource += "/" + parts[at + 2];
  }
  const std::string watch = request.get_param_value("watch");
  if (request.method == "POST") {
    target.verb = "create";
  } else if (request.method == "PUT") {
    target.verb = "update";
  } else if (request.method == "PATCH") {
    target.verb = "patch";
  } else if (request.method == "DELETE") {
    target.verb = target.name.empty() ? "deletecollection" : "delete";
  } else if (!target.name.empty()) {
    target.verb = "get";
  } else {
    target.verb = watch == "1" || watch == "true" ? "watch" : "list";
  }
  return target;
}

ordered_json forbidden(const std::string& user, const Target& target, const std::string& selected_name) {
  const std::string& name = target.name.empty() ? selected_name : target.name;
  std::string message = target.resource + (target.group.empty() ? "" : "." + target.group);
  ordered_json details = ordered_json::object();
  if (!name.empty()) {
    message += " \"" + name + "\"";
    details["name"] = name;
  }
  if (!target.group.empty()) {
    details["group"] = target.group;
  }
  details["kind"] = target.resource;
  message += " is forbidden: User \"" + user + "\" cannot " + target.verb + " resource \"" + target.resource +
             "\" in API group \"" + target.group + "\" ";
  message += target.name_space.empty() ? "at the cluster scope" : "in the namespace \"" + target.name_space + "\"";
  return failure(403, "Forbidden", message, details);
}

std::string selected_name(const httplib::Request& request) {
  Scope scope{.resource = &resources().front(), .name_space = "", .terms = {}};
  std::string error;
  parse_field_selector(request.get_param_value("fieldSelector"), scope, error);
  const auto found = std::ranges::find_if(
      scope.terms, [](const Scope::Term& term) { return term.path == "metadata.name" && term.equal; });
  return found == scope.terms.end() ? "" : found->value;
}

void respond(const httplib::Request& request, httplib::Response& response, int status, const std::string& body) {
  // The real server compresses with gzip, and only what is larger than this; httplib would compress everything, and
  // with the client's brotli first. httplib itself owns the request and made it mutable.
  constexpr std::size_t kLeastCompressed = 128UL * 1024;
  const bool gzip = request.get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
  auto& headers = const_cast<httplib::Request&>(request).headers;
  headers.erase("Accept-Encoding");
  if (gzip && body.size() > kLeastCompressed) {
    headers.emplace("Accept-Encoding", "gzip");
  }
  response.status = status;
  response.set_content(body + "\n", "application/json");
}

void respond(const httplib::Request& request, httplib::Response& response, const ordered_json& status) {
  respond(request, response, status["code"].get<int>(), status.dump());
}

/// The one object that clients send. kubectl does it in protobuf since 1.32, and takes JSON for an answer (field
/// numbers: k8s.io/api authorization/v1 and apimachinery's runtime.Unknown, generated.proto).
json parse_access_review(const std::string& body) {
  constexpr std::string_view kProtobuf("k8s\0", 4);
  if (!body.starts_with(kProtobuf)) {
    return json::parse(body, nullptr, false);
  }
  const std::string_view review = protobuf_field(std::string_view(body).substr(kProtobuf.size()), 2);
  const std::string_view attributes = protobuf_field(protobuf_field(review, 2), 1);
  json named = json::object();
  const std::vector<std::string> names = {"namespace", "verb", "group", "version", "resource", "subresource", "name"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (const std::string_view value = protobuf_field(attributes, i + 1); !value.empty()) {
      named[names[i]] = value;
    }
  }
  return {{"metadata", json::object()}, {"spec", {{"resourceAttributes", named}}}};
}

}  // namespace hairpind::testing
