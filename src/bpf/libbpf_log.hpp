// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace hairpind {

/// Keeps libbpf's messages from the log while it lives: most of what libbpf warns of is tried and done without. One
/// at a time, since libbpf's callback is process-wide and has no argument.
class LibbpfTranscript {
 public:
  LibbpfTranscript();
  ~LibbpfTranscript();
  LibbpfTranscript(const LibbpfTranscript&) = delete;
  LibbpfTranscript& operator=(const LibbpfTranscript&) = delete;

  /// In order, without the newline at the end; a verifier's log is one message of many lines.
  [[nodiscard]] const std::vector<std::string>& messages() const { return messages_; }
  void add(std::string message) { messages_.push_back(std::move(message)); }
  /// Everything, at debug level.
  void log() const;

 private:
  std::vector<std::string> messages_;
};

/// Why loading failed, in one line, from libbpf's messages: "the kernel refuses the BPF program 'from_pod': R2 type=mem
/// expected=fp, ...". Empty if they do not tell.
std::string refusal_in(const std::vector<std::string>& messages);

}  // namespace hairpind
