// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Reads one HTTP/1.1 response (RFC 9112) out of the bytes of a connection, the answer to a GET. Pure, and safe with
/// any bytes: heads are bounded, bodies are handed on as they come and never kept.
class HttpResponse {
 public:
  static constexpr std::size_t kLongestHead = 32U << 10U;

  /// Gets each piece of the body, inflated where it came by gzip; false ends the reading.
  using OnPiece = std::function<bool(std::string_view)>;

  HttpResponse();
  ~HttpResponse();
  HttpResponse(const HttpResponse&) = delete;
  HttpResponse& operator=(const HttpResponse&) = delete;

  /// The next bytes. `on_head` is called once, as soon as status and headers are known.
  Result<void> feed(std::string_view bytes, const std::function<void()>& on_head, const OnPiece& on_piece);
  /// The connection has ended: an error if more was to come.
  Result<void> finish();

  [[nodiscard]] int status() const { return status_; }
  /// Of a header by its name in small letters; empty if it did not come.
  [[nodiscard]] std::string header(const std::string& name) const;
  /// All of it has come.
  [[nodiscard]] bool complete() const { return state_ == State::kComplete; }
  /// on_piece has had enough: what follows on the connection belongs to this response.
  [[nodiscard]] bool abandoned() const { return state_ == State::kAbandoned; }
  /// The connection may serve another request.
  [[nodiscard]] bool reusable() const;

 private:
  enum class State : std::uint8_t {
    kHead,
    kSized,
    kChunkSize,
    kChunk,
    kChunkEnd,
    kTrailer,
    kUntilEnd,
    kComplete,
    kAbandoned
  };
  class Inflater;

  Result<void> take_line(std::string_view line, const std::function<void()>& on_head);
  Result<void> end_head(const std::function<void()>& on_head);
  Result<void> take_body(std::string_view bytes, const OnPiece& on_piece);

  State state_ = State::kHead;
  std::string line_;  ///< of head, chunk size or trailer, as far as it has come
  std::size_t head_bytes_ = 0;
  int status_ = 0;  ///< 0: no status line yet
  std::map<std::string, std::string> headers_;
  std::uint64_t left_ = 0;  ///< of the body or chunk
  std::unique_ptr<Inflater> inflater_;
};

}  // namespace hairpind
