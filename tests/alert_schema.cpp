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

struct AlertSchema {
  AlertSchema() {
    std::ifstream file(HAIRPIND_SOURCE_DIR "/docs/alert-v1.schema.json");
    document = nlohmann::json::parse(file);
    valijson::SchemaParser(valijson::SchemaParser::kDraft7)
        .populateSchema(valijson::adapters::NlohmannJsonAdapter(document), schema);
  }

  nlohmann::json document;
  valijson::Schema schema;
};

}  // namespace

std::string schema_violations(const std::string& line) {
  const auto alert = nlohmann::json::parse(line, nullptr, false);
  if (alert.is_discarded()) {
    return "not JSON: " + line;
  }
  static const AlertSchema schema;
  static valijson::Validator validator;  // keeps the compiled patterns
  valijson::ValidationResults results;
  std::string violations;
  if (!validator.validate(schema.schema, valijson::adapters::NlohmannJsonAdapter(alert), &results)) {
    valijson::ValidationResults::Error error;
    while (results.popError(error)) {
      for (const std::string& part : error.context) {
        violations += part;
      }
      violations += ": " + error.description + "\n";
    }
  }
  for (const auto& [key, value] : alert.items()) {
    if (!schema.document["properties"].contains(key)) {
      violations += "the schema does not list '" + key + "'\n";
    }
  }
  return violations;
}

}  // namespace hairpind::testing
