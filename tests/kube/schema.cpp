// SPDX-License-Identifier: Apache-2.0
#include "schema.hpp"

#include <functional>
#include <map>
#include <optional>
#include <stdexcept>

#include "validation.hpp"

namespace hairpind::testing {
namespace {

using nlohmann::json;

/// "Array<V1Volume>" of "Array<>": "V1Volume".
std::optional<std::string> element_of(const std::string& type, const std::string& container) {
  if (!type.starts_with(container + "<") || !type.ends_with(">")) {
    return std::nullopt;
  }
  return type.substr(container.size() + 1, type.size() - container.size() - 2);
}

bool is_scalar(const json& value, const std::string& type) {
  static const std::map<std::string, std::function<bool(const json&)>> kScalars = {
      {"string", [](const json& each) { return each.is_string(); }},
      {"time", [](const json& each) { return each.is_string(); }},
      {"boolean", [](const json& each) { return each.is_boolean(); }},
      {"integer", [](const json& each) { return each.is_number_integer(); }},
      {"number", [](const json& each) { return each.is_number(); }},
      {"IntOrString", [](const json& each) { return each.is_number_integer() || each.is_string(); }},
      {"any", [](const json& /*each*/) { return true; }}};
  const auto scalar = kScalars.find(type);
  if (scalar == kScalars.end()) {
    throw std::invalid_argument("schema: no type " + type);
  }
  return scalar->second(value);
}

FieldFault mistyped(const json& value, const std::string& type, const std::string& path) {
  return {.path = path,
          .why = std::string("cannot unmarshal ") + value.type_name() + " into field " + path + " of type " + type};
}

}  // namespace

void Schema::add(const json& types) {
  if (!types.is_object()) {
    throw std::invalid_argument("schema: no object");
  }
  for (const auto& [type, fields] : types.items()) {
    for (const auto& [field, of] : fields.items()) {
      types_[type][field] = of.get<std::string>();
    }
  }
}

ObjectFaults Schema::faults_of(const json& object, const std::string& type) const {
  ObjectFaults faults;
  check(object, type, "", faults);
  return faults;
}

void Schema::check(const json& value, const std::string& type, const std::string& path, ObjectFaults& faults) const {
  if (const auto element = element_of(type, "Array")) {
    if (!value.is_array()) {
      faults.mistyped.push_back(mistyped(value, type, path));
      return;
    }
    for (std::size_t i = 0; i < value.size(); ++i) {
      check(value[i], *element, path + "[" + std::to_string(i) + "]", faults);
    }
  } else if (const auto mapped = element_of(type, "Map")) {
    if (!value.is_object()) {
      faults.mistyped.push_back(mistyped(value, type, path));
      return;
    }
    for (const auto& [key, each] : value.items()) {
      check(each, *mapped, std::string(path).append(".").append(key), faults);
    }
  } else if (contains(type)) {
    check_fields(value, type, path, faults);
  } else if (!is_scalar(value, type)) {
    faults.mistyped.push_back(mistyped(value, type, path));
  }
}

void Schema::check_fields(const json& object, const std::string& type, const std::string& path,
                          ObjectFaults& faults) const {
  if (!object.is_object()) {
    faults.mistyped.push_back(mistyped(object, type, path));
    return;
  }
  const json& fields = types_[type];
  const auto path_of = [&](const std::string& field) { return path.empty() ? field : path + "." + field; };
  for (const auto& [field, of] : fields.items()) {
    if (of.get<std::string>().ends_with("!") && (!object.contains(field) || object[field].is_null())) {
      faults.invalid.push_back({.path = path_of(field), .why = "Required value"});
    }
  }
  for (const auto& [field, value] : object.items()) {
    const std::string of = fields.value(field, "");
    if (of.empty()) {
      faults.unknown.push_back({.path = path_of(field), .why = "unknown field \"" + path_of(field) + "\""});
    } else if (!value.is_null()) {  // null is as good as nothing
      const std::size_t found = faults.mistyped.size();
      check(value, of.substr(0, of.find('!')), path_of(field), faults);
      if (const std::string why =
              found == faults.mistyped.size() ? fault_of_value(std::string(type).append(".").append(field), value) : "";
          !why.empty()) {
        faults.invalid.push_back({.path = path_of(field), .why = why});
      }
    }
  }
}

}  // namespace hairpind::testing
