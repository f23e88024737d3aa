// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hairpind {

/// Reads one HTTP/1 request (RFC 9112) out of the bytes of a connection: GET or HEAD, without a body. Pure, and safe
/// with any bytes: of what comes, the line that is being read is kept, and the path.
class HttpRequest {
 public:
  /// A scraper's, with a token of some KiB, is shorter.
  static constexpr std::size_t kLongestHead = 8192;

  enum class State : std::uint8_t { kReading, kComplete, kRefused };

  /// The next bytes. Those that follow the request's end, or what it is refused for, are passed over.
  State feed(std::string_view bytes);

  [[nodiscard]] State state() const { return state_; }
  /// The status to refuse it with; 0 if it is not refused.
  [[nodiscard]] int refusal() const { return refusal_; }
  /// Of the target, without the query.
  [[nodiscard]] const std::string& path() const { return path_; }
  /// HEAD: as GET, but for the body.
  [[nodiscard]] bool head_only() const { return head_only_; }
  [[nodiscard]] bool takes_gzip() const { return takes_gzip_; }

 private:
  /// 0, or the status to refuse with.
  int take_line(std::string_view line);
  int take_request_line(std::string_view line);
  int take_header(std::string_view line);

  State state_ = State::kReading;
  int refusal_ = 0;
  bool first_line_taken_ = false;
  bool head_only_ = false;
  bool takes_gzip_ = false;
  std::size_t bytes_ = 0;  ///< of the head so far
  std::string line_;       ///< as far as it has come
  std::string path_;
};

}  // namespace hairpind
