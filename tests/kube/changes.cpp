// SPDX-License-Identifier: Apache-2.0
// What the server makes of changes that clients ask for: of Events only, as the agent makes no others.
#include <algorithm>
#include <cctype>

#include "server_state.hpp"

namespace hairpind::testing {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

ordered_json unsupported_media_type(const std::string& accepted) {
  return failure(415, "UnsupportedMediaType",
                 "the body of the request was in an unknown format - accepted media types include: " + accepted,
                 ordered_json::object());
}

ordered_json invalid(const std::string& name, const std::string& field, const std::string& why) {
  return failure(422, "Invalid", "Event \"" + name + "\" is invalid: " + field + ": " + why,
                 {{"name", name}, {"kind", "Event"}, {"causes", {{{"message", why}, {"field", field}}}}});
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
ordered_json fault_of(const json& event, const std::string& name_space) {
  const std::string name = text(event, "/metadata/name");
  if (text(event, "/metadata/namespace") != name_space) {
    return bad_request("the namespace of the provided object does not match the namespace sent on the request");
  }
  if (text(event, "/involvedObject/namespace") != name_space) {
    return invalid(name, "involvedObject.namespace", "does not match event.namespace");
  }
  const json count = event.value("count", json(0));
  if (!count.is_number_integer() || count.get<std::int64_t>() < 0 || count.get<std::int64_t>() > 2147483647) {
    return bad_request("Event in version \"v1\" cannot be handled as a Event: count is no int32");
  }
  for (const char* const time : {"/firstTimestamp", "/lastTimestamp"}) {
    if (!is_time(text(event, time))) {
      return bad_request("Event in version \"v1\" cannot be handled as a Event: parsing time");
    }
  }
  return nullptr;
}

}  // namespace

void ApiServer::State::create(const httplib::Request& request, httplib::Response& response, const Target& target) {
  if (media_type(request) != "application/json") {
    respond(request, response, unsupported_media_type("application/json, application/yaml"));
    return;
  }
  const Resource* const resource = find_resource(target.resource, target.group);
  json object = json::parse(request.body, nullptr, false);
  if (!object.is_object() || text(object, "/kind") != resource->kind || text(object, "/apiVersion") != "v1") {
    respond(request, response, bad_request("the object provided is unrecognized (must be of type Event)"));
    return;
  }
  // Where it has been told of any.
  const auto& namespaces = store.objects(*find_resource("namespaces"));
  if (!namespaces.empty() && !namespaces.contains(target.name_space)) {
    respond(request, response, not_found("namespaces", target.name_space));
    return;
  }
  const std::string name = text(object, "/metadata/name");
  if (name.empty()) {
    respond(request, response, invalid("", "metadata.name", "Required value: name or generateName is required"));
    return;
  }
  if (const ordered_json fault = fault_of(object, target.name_space); !fault.is_null()) {
    respond(request, response, fault);
    return;
  }
  if (store.objects(*resource).contains(target.name_space + "/" + name)) {
    respond(
        request, response,
        failure(409, "AlreadyExists", "events \"" + name + "\" already exists", {{"name", name}, {"kind", "events"}}));
    return;
  }
  const Event event = store.upsert(*resource, std::move(object));
  tell(event);
  respond(request, response, 201, with_kind(*resource, event.after->text));
}

void ApiServer::State::patch(const httplib::Request& request, httplib::Response& response, const Target& target) {
  // kubectl's default, whose lists merge by key, is the same for an object that has none.
  const std::string type = media_type(request);
  if (type != "application/merge-patch+json" && type != "application/strategic-merge-patch+json") {
    respond(request, response,
            unsupported_media_type("application/json-patch+json, application/merge-patch+json, "
                                   "application/strategic-merge-patch+json"));
    return;
  }
  const Resource* const resource = find_resource(target.resource, target.group);
  const auto& all = store.objects(*resource);
  const auto found = all.find(target.name_space + "/" + target.name);
  if (found == all.end()) {
    respond(request, response, not_found(target.resource, target.name));
    return;
  }
  const json change = json::parse(request.body, nullptr, false);
  if (!change.is_object()) {
    respond(request, response, bad_request("error decoding patch: invalid character"));
    return;
  }
  json object = found->second->value;
  object.merge_patch(change);
  if (const ordered_json fault = fault_of(object, target.name_space); !fault.is_null()) {
    respond(request, response, fault);
    return;
  }
  const Event event = store.upsert(*resource, std::move(object));
  tell(event);
  respond(request, response, 200, with_kind(*resource, event.after->text));
}

}  // namespace hairpind::testing
