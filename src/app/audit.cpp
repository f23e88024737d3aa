// SPDX-License-Identifier: Apache-2.0
#include "audit.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>

#include "audit_cluster.hpp"
#include "audit_report.hpp"
#include "command_line.hpp"
#include "hairpind/core/printable.hpp"
#include "hairpind/kube/manifests.hpp"

namespace hairpind {
namespace {

constexpr int kPassed = 0;
constexpr int kFailed = 1;
constexpr int kError = 2;

// Where a terminal's width is not known, and in a log.
constexpr std::size_t kColumns = 120;

struct Options {
  std::vector<std::string> files;
  std::string kubeconfig;
  std::string context;
  std::string output = "table";
  std::string fail_on = "at_risk";
  bool allow_empty = false;
};

void complain(const std::string& text) {
  std::fprintf(stderr, "hairpind: %s\n", printable(text).c_str());
}

AuditReport audit_manifests(const std::vector<std::string>& files) {
  const Manifests manifests = read_manifests(files);
  AuditReport report{.rows = {}, .objects = manifests.objects, .notes = manifests.notes, .errors = manifests.errors};
  for (const auto& [service, place] : manifests.services) {
    if (service.type == "LoadBalancer") {
      report.rows.push_back(row_of(service, place, {}));
    }
  }
  for (const auto& [object, place] : manifests.others) {
    report.rows.push_back(row_of(object, place));
  }
  return report;
}

std::string rendered(const AuditReport& report, const Options& options) {
  if (options.output == "json") {
    return to_json(report);
  }
  if (options.output == "yaml") {
    return to_yaml(report);
  }
  if (options.output == "sarif") {
    return to_sarif(report);
  }
  if (options.output == "junit") {
    return to_junit(report, options.fail_on == "unknown");
  }
  if (options.output == "github") {
    return to_github(report);
  }
  return to_table(report, options.output == "wide" ? 0 : kColumns);
}

int status_of(const AuditReport& report, const Options& options) {
  if (!report.errors.empty()) {
    return kError;
  }
  const bool at_risk = count(report, Risk::kAtRisk) != 0;
  const bool unknown = options.fail_on == "unknown" && count(report, Risk::kUnknown) != 0;
  return at_risk || unknown ? kFailed : kPassed;
}

int run(const Options& options) {
  AuditReport report;
  if (options.files.empty()) {
    // A server that hangs up is an error like any other.
    std::signal(SIGPIPE, SIG_IGN);
    auto cluster = audit_cluster(options.kubeconfig, options.context);
    if (!cluster) {
      complain(cluster.error().message + " (or audit manifests with -f FILE)");
      return kError;
    }
    report = *std::move(cluster);
  } else {
    report = audit_manifests(options.files);
  }
  // A gate that read nothing has not been passed.
  if (report.objects == 0 && report.errors.empty() && !options.allow_empty) {
    report.errors.emplace_back(
        "nothing was read: no Kubernetes object in what was given (--allow-empty if that is as it should be)");
  }
  sort_rows(report);
  std::ranges::for_each(report.notes, complain);
  std::ranges::for_each(report.errors, complain);
  std::fputs(rendered(report, options).c_str(), stdout);
  return status_of(report, options);
}

}  // namespace

int run_audit(const std::vector<std::string>& arguments) {
  Options options;
  CLI::App app{
      "Which Services of type LoadBalancer will fail for clients that share a node with a backend? Exit status: 0 "
      "nothing at risk, 1 at risk, 2 error, or nothing was read. An object with the annotation hairpind.dev/ignore: "
      "REASON is listed and does not count.",
      "hairpind audit"};
  app.add_option("-f,--filename", options.files,
                 "Manifests instead of a cluster: a YAML or JSON file, a directory of them, or - for standard input; "
                 "repeatable");
  app.add_option(
      "--kubeconfig", options.kubeconfig,
      "Read the cluster through this kubeconfig; default: KUBECONFIG's, ~/.kube/config, or the pod's service "
      "account");
  app.add_option("--context", options.context, "This context of the kubeconfig; default: its current one");
  app.add_option("-o,--output", options.output, "table, wide, json, yaml, sarif, junit or github")
      ->check(CLI::IsMember({"table", "wide", "json", "yaml", "sarif", "junit", "github"}))
      ->capture_default_str();
  app.add_option("--fail-on", options.fail_on, "What exit status 1 is for: at_risk, or unknown as well")
      ->check(CLI::IsMember({"at_risk", "unknown"}))
      ->capture_default_str();
  app.add_flag("--allow-empty", options.allow_empty, "It is no error that nothing was read");
  if (const auto done = read_arguments(app, arguments)) {
    return *done;
  }
  return run(options);
}

}  // namespace hairpind
