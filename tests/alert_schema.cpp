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

std::string schema_violations(const std::string& line) {
  const auto alert = nlohmann::json::parse(line, nullptr, false);
  if (alert.is_discarded()) {
    return "not JSON: " + line;
  }
  std::ifstream file(HAIRPIND_SOURCE_DIR "/docs/alert-v1.schema.json");
  const auto document = nlohmann::json::parse(file);
  valijson::Schema schema;
  valijson::SchemaParser(valijson::SchemaParser::kDraft7)
      .populateSchema(valijson::adapters::NlohmannJsonAdapter(document), schema);
  valijson::ValidationResults results;
  valijson::Validator validator;
  std::string violations;
  if (!validator.validate(schema, valijson::adapters::NlohmannJsonAdapter(alert), &results)) {
    valijson::ValidationResults::Error error;
    while (results.popError(error)) {
      for (const std::string& part : error.context) {
        violations += part;
      }
      violations += ": " + error.description + "\n";
    }
  }
  for (const auto& [key, value] : alert.items()) {
    if (!document["properties"].contains(key)) {
      violations += "the schema does not list '" + key + "'\n";
    }
  }
  return violations;
}

}  // namespace hairpind::testing
