// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <nlohmann/json.hpp>

#include "audit_report.hpp"
#include "hairpind/core/printable.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;

std::string message_of(const AuditRow& row) {
  std::string message = row.title() + ": " + row.assessment.reason;
  if (!row.assessment.fix.empty()) {
    message += ". Fix: " + row.assessment.fix;
  }
  return printable(message);
}

std::string rule_of(Risk risk) {
  return "hairpind/" + std::string(to_string(risk));
}

// --- SARIF ---

std::string_view level_of(Risk risk) {
  switch (risk) {
    case Risk::kAtRisk:
      return "error";
    case Risk::kUnknown:
      return "warning";
    case Risk::kSafe:
      break;
  }
  return "none";
}

Json sarif_rules() {
  const auto rule = [](Risk risk, const std::string& text) {
    return Json{{"id", rule_of(risk)},
                {"shortDescription", {{"text", text}}},
                {"helpUri",
                 "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-troubleshooting.html"},
                {"defaultConfiguration", {{"level", level_of(risk)}}}};
  };
  return Json::array({rule(Risk::kAtRisk,
                           "Clients that share a node with a backend will fail to reach this load "
                           "balancer, which keeps the client's address"),
                      rule(Risk::kUnknown, "Nothing says whether this load balancer keeps the client's address"),
                      rule(Risk::kSafe, "Clients that share a node with a backend reach this load balancer")});
}

/// A URI as RFC 3986 has it; relative paths stay relative.
std::string uri_of(const std::string& path) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-~!$&'()*+,;=@";
  std::string uri = path.starts_with("/") ? "file://" : "";
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (kPlain.contains(c)) {
      uri += c;
    } else {
      uri += {'%', kDigits[byte >> 4U], kDigits[byte & 0xfU]};
    }
  }
  return uri;
}

Json sarif_location(const AuditRow& row) {
  Json location = {
      {"logicalLocations", Json::array({{{"fullyQualifiedName", printable(row.title())}, {"kind", "resource"}}})}};
  if (!row.place.file.empty()) {
    location["physicalLocation"] = {{"artifactLocation", {{"uri", uri_of(row.place.file)}}},
                                    {"region", {{"startLine", std::max(row.place.line, 1)}}}};
  }
  return location;
}

Json sarif_result(const AuditRow& row) {
  const bool safe = row.assessment.risk == Risk::kSafe;
  Json result{{"ruleId", rule_of(row.assessment.risk)},
              {"kind", safe ? "pass" : "fail"},
              {"level", level_of(row.assessment.risk)},
              {"message", {{"text", message_of(row)}}},
              {"locations", Json::array({sarif_location(row)})},
              {"partialFingerprints", {{"object/v1", printable(row.kind + "/" + row.namespace_name + "/" + row.name)}}},
              {"properties", {{"link", row.assessment.link}}}};
  if (row.ignored) {
    result["suppressions"] = Json::array({{{"kind", "inSource"}, {"justification", printable(*row.ignored)}}});
  }
  return result;
}

Json sarif_notification(const std::string& text, std::string_view level) {
  return {{"level", level}, {"message", {{"text", printable(text)}}}};
}

// --- JUnit ---

// No control character is left by printable(); XML 1.0 would not even take them escaped.
std::string xml(const std::string& text) {
  return markup(printable(text));
}

enum class CaseResult : std::uint8_t { kPassed, kFailed, kSkipped };

/// What the gate does not fail on and nobody knows is skipped: a test that was not made.
CaseResult result_of(const AuditRow& row, bool fail_on_unknown) {
  if (row.assessment.risk == Risk::kSafe) {
    return CaseResult::kPassed;
  }
  const bool counts = row.assessment.risk == Risk::kAtRisk || fail_on_unknown;
  return counts && !row.ignored ? CaseResult::kFailed : CaseResult::kSkipped;
}

std::string junit_case(const AuditRow& row, CaseResult result) {
  std::string text = "    <testcase classname=\"" + xml(row.kind + "." + row.namespace_name) + "\" name=\"" +
                     xml(row.title()) + R"(" time="0")";
  if (!row.place.file.empty()) {
    text += " file=\"" + xml(row.place.file) + "\" line=\"" + std::to_string(row.place.line) + "\"";
  }
  switch (result) {
    case CaseResult::kPassed:
      return text + "/>\n";
    case CaseResult::kSkipped:
      return text + ">\n      <skipped message=\"" +
             xml(row.ignored ? "ignored: " + *row.ignored : "unknown: " + message_of(row)) + "\"/>\n    </testcase>\n";
    case CaseResult::kFailed:
      break;
  }
  return text + ">\n      <failure type=\"" + std::string(to_string(row.assessment.risk)) + "\" message=\"" +
         xml(row.assessment.reason) + "\">" + xml(message_of(row) + " See " + row.assessment.link) +
         "</failure>\n    </testcase>\n";
}

// --- GitHub Actions ---

// docs.github.com, "Workflow commands for GitHub Actions": what a message and a property escape.
std::string github_message(const std::string& text) {
  std::string escaped;
  for (const char c : printable(text)) {
    escaped += c == '%' ? std::string("%25") : std::string(1, c);
  }
  return escaped;
}

std::string github_property(const std::string& text) {
  std::string escaped;
  for (const char c : github_message(text)) {
    if (c == ':') {
      escaped += "%3A";
    } else if (c == ',') {
      escaped += "%2C";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string_view github_command(const AuditRow& row) {
  if (row.ignored) {
    return "notice";
  }
  return row.assessment.risk == Risk::kAtRisk ? "error" : "warning";
}

}  // namespace

std::string to_sarif(const AuditReport& report) {
  Json results = Json::array();
  for (const AuditRow& row : report.rows) {
    results.push_back(sarif_result(row));
  }
  Json notifications = Json::array();
  for (const std::string& error : report.errors) {
    notifications.push_back(sarif_notification(error, "error"));
  }
  for (const std::string& note : report.notes) {
    notifications.push_back(sarif_notification(note, "note"));
  }
  const Json driver{{"name", "hairpind"}, {"version", HAIRPIND_VERSION}, {"rules", sarif_rules()}};
  const Json invocation{{"executionSuccessful", report.errors.empty()},
                        {"toolExecutionNotifications", std::move(notifications)}};
  const Json run{
      {"tool", {{"driver", driver}}}, {"invocations", Json::array({invocation})}, {"results", std::move(results)}};
  const Json document{
      {"$schema", "https://json.schemastore.org/sarif-2.1.0.json"}, {"version", "2.1.0"}, {"runs", Json::array({run})}};
  return document.dump(2) + "\n";
}

std::string to_junit(const AuditReport& report, bool fail_on_unknown) {
  std::size_t failures = 0;
  std::size_t skipped = 0;
  std::string cases;
  for (const AuditRow& row : report.rows) {
    const CaseResult result = result_of(row, fail_on_unknown);
    failures += result == CaseResult::kFailed ? 1 : 0;
    skipped += result == CaseResult::kSkipped ? 1 : 0;
    cases += junit_case(row, result);
  }
  for (const std::string& error : report.errors) {
    cases +=
        "    <testcase classname=\"hairpind\" name=\"read\" time=\"0\">\n      <error type=\"unreadable\" message=\"" +
        xml(error) + "\"/>\n    </testcase>\n";
  }
  const std::string counts = " tests=\"" + std::to_string(report.rows.size() + report.errors.size()) +
                             "\" failures=\"" + std::to_string(failures) + "\" errors=\"" +
                             std::to_string(report.errors.size()) + "\"";
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"hairpind audit\"" + counts +
         " time=\"0\">\n  <testsuite name=\"hairpind audit\"" + counts + " skipped=\"" + std::to_string(skipped) +
         "\" time=\"0\">\n" + cases + "  </testsuite>\n</testsuites>\n";
}

std::string to_github(const AuditReport& report) {
  std::string text;
  for (const AuditRow& row : report.rows) {
    if (row.assessment.risk == Risk::kSafe) {
      continue;
    }
    text.append("::").append(github_command(row)).append(" ");
    if (!row.place.file.empty()) {
      text += "file=" + github_property(row.place.file) + ",line=" + std::to_string(row.place.line) + ",";
    }
    const std::string ignored = row.ignored ? " (ignored: " + *row.ignored + ")" : "";
    text += "title=" + github_property("hairpind: " + row.title() + " " + std::string(to_string(row.assessment.risk))) +
            "::" + github_message(message_of(row) + ignored + ". See " + row.assessment.link) + "\n";
  }
  for (const std::string& error : report.errors) {
    text += "::error title=hairpind%3A not read::" + github_message(error) + "\n";
  }
  return text;
}

}  // namespace hairpind
