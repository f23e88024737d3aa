// SPDX-License-Identifier: Apache-2.0
#include "alert_schema.hpp"

#include <fstream>
#include <nlohmann/json.hpp>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace hairpind::testing {
namespace {

struct Schema {
  explicit Schema(const std::string& name) {
    std::ifstream file(HAIRPIND_SOURCE_DIR "/docs/" + name);
    document = nlohmann::json::parse(file);
    valijson::SchemaParser(valijson::SchemaParser::kDraft7)
        .populateSchema(valijson::adapters::NlohmannJsonAdapter(document), schema);
  }

  nlohmann::json document;
  valijson::Schema schema;
};

std::string violations_of(const Schema& schema, const std::string& text) {
  const auto document = nlohmann::json::parse(text, nullptr, false);
  if (document.is_discarded()) {
    return "not JSON: " + text;
  }
  static valijson::Validator validator;  // keeps the compiled patterns
  valijson::ValidationResults results;
  std::string violations;
  if (!validator.validate(schema.schema, valijson::adapters::NlohmannJsonAdapter(document), &results)) {
    valijson::ValidationResults::Error error;
    while (results.popError(error)) {
      for (const std::string& part : error.context) {
        violations += part;
      }
      violations += ": " + error.description + "\n";
    }
  }
  for (const auto& [key, value] : document.items()) {
    if (!schema.document["properties"].contains(key)) {
      violations += "the schema does not list '" + key + "'\n";
    }
  }
  return violations;
}

}  // namespace

std::string schema_violations(const std::string& line) {
  static const Schema schema("alert-v1.schema.json");
  return violations_of(schema, line);
}

std::string status_violations(const std::string& json) {
  static const Schema schema("status-v1.schema.json");
  return violations_of(schema, json);
}

std::string explain_violations(const std::string& json) {
  static const Schema schema("explain-v1.schema.json");
  return violations_of(schema, json);
}

}  // namespace hairpind::testing
