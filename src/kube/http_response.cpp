// SPDX-License-Identifier: Apache-2.0
#include "http_response.hpp"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace hairpind {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

/// A number and nothing else.
std::optional<std::uint64_t> number(std::string_view text, int base) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

}  // namespace

/// gzip, piece by piece: whatever it blows up to, no more than one buffer of it is in memory.
class HttpResponse::Inflater {
 public:
  Inflater() { ready_ = inflateInit2(&stream_, 16 + MAX_WBITS) == Z_OK; }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// False when on_piece has had enough.
  Result<bool> inflate(std::string_view bytes, const OnPiece& on_piece) {
    std::array<char, 16384> inflated;
    // zlib reads only.
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    while (ready_ && !ended_) {
      stream_.next_out = reinterpret_cast<Bytef*>(inflated.data());
      stream_.avail_out = static_cast<uInt>(inflated.size());
      const int status = ::inflate(&stream_, Z_NO_FLUSH);
      const std::size_t size = inflated.size() - stream_.avail_out;
      if (size > 0 && !on_piece({inflated.data(), size})) {
        return false;
      }
      ended_ = status == Z_STREAM_END;
      ready_ = ended_ || status == Z_OK || status == Z_BUF_ERROR;
      // What is not a full buffer is all there is for now.
      if (ready_ && stream_.avail_in == 0 && stream_.avail_out > 0) {
        return true;
      }
    }
    return ready_ ? Result<bool>(true) : fail("a body that is not the gzip it is said to be");
  }

 private:
  z_stream stream_{};
  bool ready_ = false;
  bool ended_ = false;
};

HttpResponse::HttpResponse() = default;
HttpResponse::~HttpResponse() = default;

std::string HttpResponse::header(const std::string& name) const {
  const auto found = headers_.find(name);
  return found == headers_.end() ? "" : found->second;
}

bool HttpResponse::reusable() const {
  return complete() && lower(header("connection")) != "close";
}

Result<void> HttpResponse::feed(std::string_view bytes, const std::function<void()>& on_head, const OnPiece& on_piece) {
  while (!bytes.empty()) {
    switch (state_) {
      case State::kHead:
      case State::kChunkSize:
      case State::kChunkEnd:
      case State::kTrailer: {
        const std::size_t end = bytes.find('\n');
        const std::string_view part = bytes.substr(0, end);
        head_bytes_ += part.size() + 1;
        if (head_bytes_ > kLongestHead) {
          return fail("headers beyond " + std::to_string(kLongestHead >> 10U) + " KiB");
        }
        line_ += part;
        if (end == std::string_view::npos) {
          return {};
        }
        bytes.remove_prefix(end + 1);
        std::string line = std::exchange(line_, {});
        if (line.ends_with('\r')) {
          line.pop_back();
        }
        if (auto taken = take_line(line, on_head); !taken) {
          return taken;
        }
        break;
      }
      case State::kSized:
      case State::kChunk: {
        const std::string_view part = bytes.substr(0, std::min<std::uint64_t>(left_, bytes.size()));
        bytes.remove_prefix(part.size());
        left_ -= part.size();
        if (auto taken = take_body(part, on_piece); !taken) {
          return taken;
        }
        if (left_ == 0 && state_ != State::kAbandoned) {
          state_ = state_ == State::kSized ? State::kComplete : State::kChunkEnd;
        }
        break;
      }
      case State::kUntilEnd:
        return take_body(bytes, on_piece);
      case State::kComplete:
        return fail("more than one answer to a question");
      case State::kAbandoned:
        return {};
    }
  }
  return {};
}

Result<void> HttpResponse::take_line(std::string_view line, const std::function<void()>& on_head) {
  const auto wrong = [] { return fail("an answer that is no HTTP/1.1"); };
  if (state_ == State::kChunkEnd) {
    state_ = State::kChunkSize;
    // Only heads and trailers add up: chunks may be many.
    head_bytes_ = 0;
    return line.empty() ? Result<void>() : wrong();
  }
  if (state_ == State::kChunkSize) {
    const auto size = number(trimmed(line.substr(0, line.find(';'))), 16);
    if (!size) {
      return wrong();
    }
    left_ = *size;
    head_bytes_ = 0;
    state_ = left_ == 0 ? State::kTrailer : State::kChunk;
    return {};
  }
  if (line.empty()) {
    if (state_ == State::kTrailer) {
      state_ = State::kComplete;
      return {};
    }
    return status_ == 0 ? wrong() : end_head(on_head);
  }
  if (state_ == State::kTrailer) {
    return {};
  }
  if (status_ == 0) {
    // "HTTP/1.1 200 OK"
    const auto status = line.size() >= 12 ? number(line.substr(9, 3), 10) : std::nullopt;
    const bool ends = line.size() == 12 || (line.size() > 12 && line[12] == ' ');
    if (!line.starts_with("HTTP/1.") || line[8] != ' ' || !ends || !status || *status < 100) {
      return wrong();
    }
    status_ = static_cast<int>(*status);
    return {};
  }
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) {
    return wrong();
  }
  headers_.insert_or_assign(lower(line.substr(0, colon)), std::string(trimmed(line.substr(colon + 1))));
  return {};
}

Result<void> HttpResponse::end_head(const std::function<void()>& on_head) {
  if (status_ < 200) {
    // An interim answer; the true one follows.
    status_ = 0;
    headers_.clear();
    return {};
  }
  head_bytes_ = 0;
  const std::string coding = lower(header("transfer-encoding"));
  const auto length = number(header("content-length"), 10);
  if (coding == "chunked") {
    state_ = State::kChunkSize;
  } else if (!coding.empty() || (!length && !header("content-length").empty())) {
    return fail("a body of unknown form");
  } else if (status_ == 204 || status_ == 304 || length == 0) {
    state_ = State::kComplete;
  } else if (length) {
    left_ = *length;
    state_ = State::kSized;
  } else {
    state_ = State::kUntilEnd;
  }
  const std::string content = lower(header("content-encoding"));
  if (content == "gzip") {
    inflater_ = std::make_unique<Inflater>();
  } else if (!content.empty() && content != "identity") {
    return fail("a body in " + content + ", which was not asked for");
  }
  on_head();
  return {};
}

Result<void> HttpResponse::take_body(std::string_view bytes, const OnPiece& on_piece) {
  Result<bool> more = inflater_ ? inflater_->inflate(bytes, on_piece) : Result<bool>(on_piece(bytes));
  if (!more) {
    return std::unexpected(more.error());
  }
  if (!*more) {
    state_ = State::kAbandoned;
  }
  return {};
}

Result<void> HttpResponse::finish() {
  if (state_ == State::kUntilEnd) {
    state_ = State::kComplete;
  }
  return complete() || abandoned() ? Result<void>() : fail("it closed the connection in the middle of an answer");
}

}  // namespace hairpind
