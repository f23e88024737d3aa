// SPDX-License-Identifier: Apache-2.0
// What the server makes of changes that clients ask for: of Events, as the agent makes no others, and of what deploy/
// has.
#include <algorithm>
#include <cctype>

#include "server_state.hpp"
#include "validation.hpp"

namespace hairpind::testing {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json unsupported_media_type(const std::string& accepted) {
  return failure(415, "UnsupportedMediaType",
                 "the body of the request was in an unknown format - accepted media types include: " + accepted,
                 ordered_json::object());
}

ordered_json invalid(const Resource& resource, const std::string& name, const std::vector<FieldFault>& faults) {
  std::string all;
  ordered_json causes = ordered_json::array();
  for (const FieldFault& fault : faults) {
    all += (all.empty() ? "" : ", ") + fault.path + ": " + fault.why;
    causes.push_back({{"message", fault.why}, {"field", fault.path}});
  }
  const std::string kind =
      resource.kind + (*resource.group == '\0' ? std::string() : "." + std::string(resource.group));
  return failure(422, "Invalid", kind + " \"" + name + "\" is invalid: " + (faults.size() == 1 ? all : "[" + all + "]"),
                 {{"name", name}, {"group", resource.group}, {"kind", resource.kind}, {"causes", causes}});
}

ordered_json undecodable(const Resource& resource, const std::string& why) {
  return bad_request(std::string(resource.kind) + " in version \"" + resource.version + "\" cannot be handled as a " +
                     resource.kind + ": " + why);
}

// Without one it is the first that the real server knows.
std::string media_type(const httplib::Request& request) {
  const std::string type = request.get_header_value("Content-Type");
  return type.empty() ? "application/json" : type.substr(0, type.find(';'));
}

std::string text(const json& object, const char* pointer) {
  const json::json_pointer at(pointer);
  return object.contains(at) && object[at].is_string() ? object[at].get<std::string>() : "";
}

// RFC 3339, as metav1.Time reads it.
bool is_time(const std::string& text) {
  constexpr std::string_view kPattern = "0000-00-00T00:00:00Z";
  return text.size() == kPattern.size() && std::ranges::equal(text, kPattern, [](unsigned char c, char pattern) {
           return pattern == '0' ? std::isdigit(c) != 0 : c == static_cast<unsigned char>(pattern);
         });
}

/// What the real server's validation says of an Event without an eventTime (pkg/apis/core/validation/events.go), and
/// its decoder of fields of other types; null if nothing.
ordered_json fault_of_event(const Resource& resource, const json& event, const std::string& name_space) {
  if (text(event, "/involvedObject/namespace") != name_space) {
    return invalid(resource, text(event, "/metadata/name"),
                   {{.path = "involvedObject.namespace", .why = "does not match event.namespace"}});
  }
  const json count = event.value("count", json(0));
  if (!count.is_number_integer() || count.get<std::int64_t>() < 0 || count.get<std::int64_t>() > 2147483647) {
    return undecodable(resource, "count is no int32");
  }
  for (const char* const time : {"/firstTimestamp", "/lastTimestamp"}) {
    if (!is_time(text(event, time))) {
      return undecodable(resource, "parsing time");
    }
  }
  return nullptr;
}

/// "$setElementOrder/containers", "$patch": how a list is to be merged.
bool has_directive(const json& patch) {
  return std::ranges::any_of(patch.items(), [&](const auto& each) {
    return (patch.is_object() && each.key().starts_with('$')) ||
           (each.value().is_structured() && has_directive(each.value()));
  });
}

ordered_json fault_by_schema(const Schema& schema, const Resource& resource, const json& object, bool strict) {
  ObjectFaults faults = schema.faults_of(object, resource.type);
  if (!faults.mistyped.empty()) {
    return undecodable(resource, "json: " + faults.mistyped.front().why);
  }
  if (strict && !faults.unknown.empty()) {
    std::string all;
    for (const FieldFault& unknown : faults.unknown) {
      all += (all.empty() ? "" : ", ") + unknown.why;
    }
    return undecodable(resource, "strict decoding error: " + all);
  }
  if (faults.invalid.empty()) {
    faults.invalid = validate(resource, object);
  }
  return faults.invalid.empty() ? ordered_json() : invalid(resource, text(object, "/metadata/name"), faults.invalid);
}

}  // namespace

ordered_json ApiServer::State::fault_of(const Resource& resource, const json& object, const httplib::Request& request,
                                        const Target& target) const {
  const std::string dry_run = request.get_param_value("dryRun");
  if (!dry_run.empty() && dry_run != "All") {
    return bad_request("dryRun: Unsupported value: \"" + dry_run + "\": supported values: \"All\"");
  }
  // The real server clears a namespace that a kind has none of.
  if (text(object, "/metadata/namespace") != (resource.namespaced ? target.name_space : "")) {
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  }
  if (*resource.type == '\0') {
    return fault_of_event(resource, object, target.name_space);
  }
  return fault_by_schema(options.schema, resource, object, request.get_param_value("fieldValidation") == "Strict");
}

void ApiServer::State::keep(const httplib::Request& request, httplib::Response& response, int status,
                            const Resource& resource, json object) {
  if (request.has_param("dryRun")) {
    object.erase("kind");
    object.erase("apiVersion");
    respond(request, response, status, with_kind(resource, object.dump()));
    return;
  }
  const Event event = store.upsert(resource, std::move(object));
  tell(event);
  respond(request, response, status, with_kind(resource, event.after->text));
}

void ApiServer::State::create(const httplib::Request& request, httplib::Response& response, const Target& target) {
  if (media_type(request) != "application/json") {
    respond(request, response, unsupported_media_type("application/json, application/yaml"));
    return;
  }
  const Resource& resource = *find_resource(target.resource, target.group);
  json object = json::parse(request.body, nullptr, false);
  const std::string version = (*resource.group == '\0' ? "" : std::string(resource.group) + "/") + resource.version;
  if (!object.is_object() || text(object, "/kind") != resource.kind || text(object, "/apiVersion") != version) {
    respond(request, response,
            bad_request("the object provided is unrecognized (must be of type " + std::string(resource.kind) + ")"));
    return;
  }
  // Where it has been told of any.
  const auto& namespaces = store.objects(*find_resource("namespaces"));
  if (resource.namespaced && !namespaces.empty() && !namespaces.contains(target.name_space)) {
    respond(request, response, not_found("namespaces", target.name_space));
    return;
  }
  const std::string name = text(object, "/metadata/name");
  if (name.empty()) {
    respond(
        request, response,
        invalid(resource, "", {{.path = "metadata.name", .why = "Required value: name or generateName is required"}}));
    return;
  }
  if (const ordered_json fault = fault_of(resource, object, request, target); !fault.is_null()) {
    respond(request, response, fault);
    return;
  }
  if (store.objects(resource).contains(resource.namespaced ? target.name_space + "/" + name : name)) {
    respond(request, response,
            failure(409, "AlreadyExists", target.resource + " \"" + name + "\" already exists",
                    {{"name", name}, {"kind", target.resource}}));
    return;
  }
  keep(request, response, 201, resource, std::move(object));
}

void ApiServer::State::patch(const httplib::Request& request, httplib::Response& response, const Target& target) {
  const std::string type = media_type(request);
  if (type != "application/merge-patch+json" && type != "application/strategic-merge-patch+json") {
    respond(request, response,
            unsupported_media_type("application/json-patch+json, application/merge-patch+json, "
                                   "application/strategic-merge-patch+json"));
    return;
  }
  const Resource& resource = *find_resource(target.resource, target.group);
  const auto& all = store.objects(resource);
  const auto found = all.find(resource.namespaced ? target.name_space + "/" + target.name : target.name);
  if (found == all.end()) {
    respond(request, response, not_found(target.resource, target.name));
    return;
  }
  const json change = json::parse(request.body, nullptr, false);
  if (!change.is_object()) {
    respond(request, response, bad_request("error decoding patch: invalid character"));
    return;
  }
  // kubectl's default, whose lists merge by key, is the same where no list changes. Where one does it says so.
  if (has_directive(change)) {
    respond(request, response, bad_request("this server of tests does not merge lists"));
    return;
  }
  json object = found->second->value;
  object.merge_patch(change);
  if (const ordered_json fault = fault_of(resource, object, request, target); !fault.is_null()) {
    respond(request, response, fault);
    return;
  }
  keep(request, response, 200, resource, std::move(object));
}

}  // namespace hairpind::testing
