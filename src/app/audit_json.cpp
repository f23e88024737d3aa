// SPDX-License-Identifier: Apache-2.0
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>

#include "audit_report.hpp"
#include "hairpind/core/printable.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;

Json to_object(const AuditRow& row) {
  Json object{{"kind", printable(row.kind)},
              {"namespace", printable(row.namespace_name)},
              {"name", printable(row.name)},
              {"verdict", to_string(row.assessment.risk)},
              {"reason", printable(row.assessment.reason)},
              {"fix", printable(row.assessment.fix)},
              {"link", row.assessment.link}};
  if (row.ignored) {
    object["ignored"] = printable(*row.ignored);
  }
  if (!row.place.file.empty()) {
    object["file"] = printable(row.place.file);
    object["line"] = row.place.line;
  }
  if (row.exposed_nodes) {
    object["exposed_nodes"] = *row.exposed_nodes;
  }
  return object;
}

Json to_document(const AuditReport& report) {
  Json services = Json::array();
  Json others = Json::array();
  for (const AuditRow& row : report.rows) {
    (row.kind == "Service" ? services : others).push_back(to_object(row));
  }
  return {{"schema", "hairpind.audit/v1"},
          {"complete", report.errors.empty()},
          {"objects_read", report.objects},
          {"services", std::move(services)},
          {"others", std::move(others)}};
}

void emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::BeginSeq;
    for (const Json& entry : value) {
      emit(out, entry);
    }
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    out << YAML::DoubleQuoted << value.get<std::string>();
  } else if (value.is_boolean()) {
    out << value.get<bool>();
  } else {
    out << value.get<std::int64_t>();
  }
}

}  // namespace

std::string to_json(const AuditReport& report) {
  return to_document(report).dump(2) + "\n";
}

std::string to_yaml(const AuditReport& report) {
  YAML::Emitter out;
  emit(out, to_document(report));
  return std::string(out.c_str()) + "\n";
}

}  // namespace hairpind
