// SPDX-License-Identifier: Apache-2.0
#include "libbpf_log.hpp"

#include <bpf/libbpf.h>

#include <algorithm>
#include <cstdio>
#include <string_view>

#include "hairpind/bpf/programs.hpp"

namespace hairpind {
namespace {

// libbpf's callback is process-wide and is given no context.
void (*log_line)(bool, std::string_view) = nullptr;
LibbpfTranscript* transcript = nullptr;

std::string format_message(const char* format, va_list arguments) {
  va_list again;
  va_copy(again, arguments);
  const int length = std::vsnprintf(nullptr, 0, format, again);
  va_end(again);
  std::string text(static_cast<std::size_t>(std::max(length, 0)), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, arguments);
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  return text;
}

int print_libbpf(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG || (transcript == nullptr && log_line == nullptr)) {
    return 0;
  }
  std::string text = format_message(format, arguments);
  if (transcript != nullptr) {
    transcript->add(std::move(text));
  } else {
    log_line(level == LIBBPF_WARN, text);
  }
  return 0;
}

// The verifier says what it objects to in the line before its statistics.
std::string_view last_complaint(std::string_view log) {
  std::string_view complaint;
  while (!log.empty()) {
    const auto end = log.find('\n');
    const std::string_view line = log.substr(0, end);
    log.remove_prefix(end == std::string_view::npos ? log.size() : end + 1);
    if (line.starts_with("processed ") || line.starts_with("-- END")) {
      break;
    }
    if (!line.empty()) {
      complaint = line;
    }
  }
  return complaint;
}

}  // namespace

void set_libbpf_log(void (*log)(bool, std::string_view)) {
  log_line = log;
  libbpf_set_print(print_libbpf);
}

LibbpfTranscript::LibbpfTranscript() {
  transcript = this;
  libbpf_set_print(print_libbpf);
}

LibbpfTranscript::~LibbpfTranscript() {
  transcript = nullptr;
}

void LibbpfTranscript::log() const {
  for (const std::string& message : messages_) {
    if (log_line != nullptr) {
      log_line(false, message);
    }
  }
}

std::string refusal_in(const std::vector<std::string>& messages) {
  constexpr std::string_view kFailed = "': BPF program load failed";
  constexpr std::string_view kBegin = "-- BEGIN PROG LOAD LOG --\n";
  std::string refusal;
  for (const std::string& message : messages) {
    const auto quote = message.find('\'');
    if (const auto failed = message.find(kFailed); failed != std::string::npos && quote < failed) {
      refusal = "the kernel refuses the BPF program '" + message.substr(quote + 1, failed - quote - 1) + "'";
    } else if (const auto begin = message.find(kBegin); begin != std::string::npos && !refusal.empty()) {
      refusal += ": " + std::string(last_complaint(std::string_view(message).substr(begin + kBegin.size())));
      break;
    }
  }
  if (refusal.empty() && !messages.empty()) {
    // A map that finds no memory, a type that BTF lacks: libbpf says it in one line, the first is the cause.
    refusal = messages.front();
  }
  return refusal;
}

}  // namespace hairpind
