// SPDX-License-Identifier: Apache-2.0
#include "status_command.hpp"

#include <spdlog/fmt/fmt.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>

#include "command_line.hpp"
#include "hairpind/core/printable.hpp"
#include "hairpind/core/text_columns.hpp"
#include "hairpind/net/local_http.hpp"
#include "hairpind/output/http_server.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kGood = 0;
constexpr int kBad = 1;
constexpr int kError = 2;

constexpr const char* kSchema = "hairpind.status/v1";

Result<Json> parse(const std::string& text) {
  Json status = Json::parse(text, nullptr, false);
  if (!status.is_object() || status.value("schema", "") != kSchema) {
    return fail(std::string("status: the answer is no ") + kSchema + ": is that a hairpind of this version?");
  }
  return status;
}

std::string text_of(const Json& json, const std::string& key) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null()
             ? "-"
             : printable(found->is_string() ? found->get<std::string>() : found->dump());
}

// To the second: a person reads it.
std::string time_of(const Json& json, const std::string& key) {
  std::string time = text_of(json, key);
  if (const auto fraction = time.find('.'); fraction != std::string::npos) {
    time = time.substr(0, fraction) + "Z";
  }
  return time;
}

bool is_good(const Json& status) {
  const auto& rows = status.at("load_balancers");
  return status.at("healthy").get<bool>() && status.at("ready").get<bool>() &&
         std::ranges::none_of(rows, [](const Json& row) { return text_of(row, "state") == "active"; });
}

std::string in_step(const Json& status) {
  const auto synced = status.find("kubernetes_synced");
  if (synced == status.end() || synced->is_null()) {
    return "";
  }
  return synced->get<bool>() ? ", in step with the API server" : ", NOT in step with the API server";
}

std::string describe(const Json& status) {
  std::string text =
      fmt::format("hairpind {} on node {}: {}, {}{}; {} attempts are undecided\n", text_of(status, "version"),
                  text_of(status, "node"), status.at("healthy").get<bool>() ? "healthy" : "STALLED",
                  status.at("ready").get<bool>() ? "ready" : "NOT READY", in_step(status), text_of(status, "pending"));
  for (const Json& line : status.at("devices")) {
    text += "  " + printable(line.get<std::string>()) + "\n";
  }
  const auto& rows = status.at("load_balancers");
  const std::size_t uncalled = status.at("uncalled").size();
  if (rows.empty()) {
    return text + fmt::format("No load balancer has been called from this node; {} are watched for.\n", uncalled);
  }
  std::vector<std::vector<std::string>> table{{"LOAD BALANCER", "SERVICE", "STATE", "ATTEMPTS", "ANSWERED",
                                               "MISMATCHED", "SAME-NODE", "LAST BAD", "LAST GOOD"}};
  for (const Json& row : rows) {
    table.push_back({text_of(row, "lb"), text_of(row, "service"), text_of(row, "state"), text_of(row, "attempts"),
                     text_of(row, "answered"), text_of(row, "mismatched"), text_of(row, "same_node_answered"),
                     time_of(row, "last_bad"), time_of(row, "last_good")});
  }
  std::vector<std::size_t> widths(table.front().size());
  for (const auto& row : table) {
    for (std::size_t i = 0; i < row.size(); i++) {
      widths[i] = std::max(widths[i], width_of_text(row[i]));
    }
  }
  for (const auto& row : table) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); i++) {
      line += padded_text(row[i], widths[i]) + "  ";
    }
    text += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
  }
  if (uncalled != 0) {
    text += fmt::format("{} more are watched for and have not been called from here.\n", uncalled);
  }
  return text;
}

int report(const std::string& listen, const std::string& output) {
  const auto fail_with = [](const Error& error) {
    std::fprintf(stderr, "hairpind: %s\n", error.message.c_str());
    return kError;
  };
  // An agent that hangs up is an error like any other.
  std::signal(SIGPIPE, SIG_IGN);
  const auto address = parse_listen_address(listen);
  if (!address) {
    return fail_with(address.error());
  }
  const auto answer = get_local(address->first, address->second, "/v1/status");
  if (!answer) {
    return fail_with(answer.error());
  }
  const auto status = parse(*answer);
  if (!status) {
    return fail_with(status.error());
  }
  std::fputs((output == "json" ? *answer : describe(*status)).c_str(), stdout);
  return is_good(*status) ? kGood : kBad;
}

}  // namespace

Result<std::string> describe_status(const std::string& json) {
  try {
    auto status = parse(json);
    return status ? Result<std::string>(describe(*status)) : std::unexpected(status.error());
  } catch (const Json::exception& error) {
    return fail(std::string("status: ") + error.what());
  }
}

int run_status(const std::vector<std::string>& arguments) {
  std::string listen = "127.0.0.1:9477";
  std::string output = "table";
  CLI::App app{
      "Asks the agent on this node what it knows: load balancers that were called from here, how they answered, and "
      "whether what failed is over. Exit status: 0, 1 if a problem is active or the agent is not ready, 2 if it could "
      "not be asked.",
      "hairpind status"};
  app.add_option("--listen", listen, "ADDR:PORT that the agent listens on")
      ->envname("HAIRPIND_LISTEN")
      ->capture_default_str();
  app.add_option("-o,--output", output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  if (const auto done = read_arguments(app, arguments)) {
    return *done;
  }
  try {
    return report(listen, output);
  } catch (const Json::exception& error) {
    std::fprintf(stderr, "hairpind: status: the answer lacks something: %s\n", error.what());
    return kError;
  }
}

}  // namespace hairpind
