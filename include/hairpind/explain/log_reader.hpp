// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Longer lines are passed over: none of ours is, and one answer of Loki's API with 5000 lines is not either.
constexpr std::size_t kLongestLine = std::size_t{16} << 20U;

/// Cuts bytes into lines, of which it holds one at most. Who calls owns it; one thread.
class LineSplitter {
 public:
  /// `line` lives as long as the call; `number` counts from 1.
  using OnLine = std::function<void(std::string_view line, std::uint64_t number)>;

  explicit LineSplitter(OnLine on_line, std::size_t longest = kLongestLine)
      : on_line_(std::move(on_line)), longest_(longest) {}

  void add(std::string_view bytes);
  /// There is no more: what is left is a line, too.
  void finish();

  /// All of them, those passed over too.
  [[nodiscard]] std::uint64_t lines() const { return lines_; }
  [[nodiscard]] std::uint64_t too_long() const { return too_long_; }
  /// The number of the first that was too long, 0 if none was.
  [[nodiscard]] std::uint64_t first_too_long() const { return first_too_long_; }

 private:
  void end_line(std::string_view last_piece);

  OnLine on_line_;
  std::size_t longest_;
  std::string begun_;          // of a line whose end has not come yet
  bool passing_over_ = false;  // the line begun is too long
  std::uint64_t lines_ = 0;
  std::uint64_t too_long_ = 0;
  std::uint64_t first_too_long_ = 0;
};

/// Reads `fd` to its end; what begins as gzip (RFC 1952) is inflated. `name` is for the error. The lines before an
/// error have been told of.
Result<void> read_log(int fd, const std::string& name, LineSplitter& lines);

}  // namespace hairpind
