// SPDX-License-Identifier: Apache-2.0
#include "explain.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>

#include "command_line.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/core/printable.hpp"
#include "hairpind/explain/alert_log.hpp"
#include "hairpind/explain/cluster_state.hpp"
#include "hairpind/explain/explain_json.hpp"
#include "hairpind/explain/html_page.hpp"
#include "hairpind/explain/log_reader.hpp"
#include "hairpind/explain/pcapng.hpp"
#include "hairpind/explain/text.hpp"

namespace hairpind {
namespace {

constexpr int kDone = 0;
constexpr int kNotThere = 1;
constexpr int kError = 2;

struct Options {
  std::vector<std::string> files;
  std::string incident;
  std::string output = "text";
};

void complain(const std::string& text) {
  std::fprintf(stderr, "hairpind: %s\n", printable(text).c_str());
}

/// On a terminal only, and not while it shows what is typed: for long logs.
class Progress {
 public:
  Progress() : shown_(isatty(STDERR_FILENO) != 0 && isatty(STDIN_FILENO) != 0) {}
  void line(const std::string& file, std::uint64_t number) {
    if (shown_ && number % kEvery == 0) {
      std::fprintf(stderr, "\r\033[K%s: %llu lines", printable(file).c_str(), static_cast<unsigned long long>(number));
      any_ = true;
    }
  }
  void finish() const {
    if (any_) {
      std::fputs("\r\033[K", stderr);
    }
  }

 private:
  static constexpr std::uint64_t kEvery = 1U << 17U;
  bool shown_;
  bool any_ = false;
};

struct Reading {
  AlertLog log;
  std::uint64_t lines = 0;
  std::uint64_t too_long = 0;
  bool complete = true;
};

void read_file(const std::string& file, Reading& reading, Progress& progress) {
  const std::string name = file == "-" ? "standard input" : file;
  const FileDescriptor opened(file == "-" ? -1 : open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (file != "-" && opened.get() < 0) {
    complain(fail_errno("open '" + file + "'", errno).error().message);
    reading.complete = false;
    return;
  }
  LineSplitter lines([&](std::string_view line, std::uint64_t number) {
    reading.log.read_line(line, name, number);
    progress.line(name, number);
  });
  const auto read = read_log(file == "-" ? STDIN_FILENO : opened.get(), name, lines);
  progress.finish();
  reading.lines += lines.lines();
  reading.too_long += lines.too_long();
  if (lines.too_long() > 0) {
    complain(name + ": " + std::to_string(lines.too_long()) + " longer than 16 MiB passed over (first: line " +
             std::to_string(lines.first_too_long()) + "); an alert is far shorter");
  }
  if (!read) {
    complain(read.error().message);
    reading.complete = false;
  }
}

TextStyle style_of_terminal() {
  TextStyle style;
  winsize size{};
  if (isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    style.colours = true;
    style.columns = size.ws_col >= 60 ? size.ws_col : style.columns;
  }
  return style;
}

/// The whole id, or nothing where it is not one; says why.
std::optional<std::string> whole_id(const ClusterState& state, const std::string& beginning) {
  const std::vector<std::string> ids = incidents_beginning(state, beginning);
  if (ids.size() == 1) {
    return ids.front();
  }
  if (ids.empty()) {
    complain("no incident '" + beginning + "' in " + std::to_string(state.incidents.size()) +
             " that were told of; without --incident they are listed");
    return std::nullopt;
  }
  std::string text = "'" + beginning + "' begins " + std::to_string(ids.size()) + " incidents:";
  constexpr std::size_t kShown = 10;
  for (std::size_t i = 0; i < std::min(ids.size(), kShown); i++) {
    text += " " + ids[i];
  }
  complain(text + (ids.size() > kShown ? " ...; give more of it" : "; give more of it"));
  return std::nullopt;
}

std::string rendered(const ClusterState& state, const Options& options, const std::string& incident) {
  if (options.output == "json") {
    return explain_json(state, incident);
  }
  if (options.output == "html") {
    return html_page(state, incident);
  }
  if (options.output == "pcapng") {
    return pcapng(state, incident);
  }
  return incident.empty() ? cluster_text(state, style_of_terminal())
                          : incident_text(state, incident, style_of_terminal());
}

int explain(const Options& options) {
  if (options.output == "pcapng" && isatty(STDOUT_FILENO) != 0) {
    complain("pcapng is not for a terminal: hairpind explain -o pcapng ... > packets.pcapng");
    return kError;
  }
  Reading reading;
  Progress progress;
  const std::vector<std::string> standard_input = {"-"};
  for (const std::string& file : options.files.empty() ? standard_input : options.files) {
    read_file(file, reading, progress);
  }
  ClusterState state = conclude(reading.log, reading.lines, std::chrono::system_clock::now());
  state.passed_over += reading.too_long;
  for (const std::string& note : state.notes) {
    complain(note);
  }
  std::string incident;
  if (!options.incident.empty()) {
    const auto id = whole_id(state, options.incident);
    if (!id) {
      return kNotThere;
    }
    incident = *id;
  }
  const std::string text = rendered(state, options, incident);
  if (text.empty()) {
    complain(
        "no captured packet in these lines: they come as asymmetric_handshake_evidence, after an incident's first "
        "alert; the ladder is drawn without them (no -o)");
    return kNotThere;
  }
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    complain("write the result to stdout: it cannot be written to");
    return kError;
  }
  return reading.complete ? kDone : kError;
}

}  // namespace

int run_explain(const std::vector<std::string>& arguments) {
  Options options;
  CLI::App app{
      "What alert lines come to: the state of the cluster, or an incident packet by packet. Reads files as they come "
      "(kubectl logs --prefix, container logs, Loki's exports, gzip); lines that are not hairpind's are passed over. "
      "Exit "
      "status: 0, 1 what was asked for is not there, 2 error.",
      "hairpind explain"};
  app.add_option("FILE", options.files, "Logs; - or none is standard input");
  app.add_option("--incident", options.incident,
                 "This incident, packet by packet: its id, or a beginning that no other has");
  app.add_option("-o,--output", options.output, "text, json, html (one page) or pcapng (captured packets)")
      ->check(CLI::IsMember({"text", "json", "html", "pcapng"}))
      ->capture_default_str();
  if (const auto done = read_arguments(app, arguments)) {
    return *done;
  }
  return explain(options);
}

}  // namespace hairpind
