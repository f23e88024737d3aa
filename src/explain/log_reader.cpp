// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/log_reader.hpp"

#include <unistd.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

namespace hairpind {
namespace {

constexpr std::size_t kPiece = std::size_t{256} << 10U;

/// A stream of gzip members, one after the other, as `gzip -c a b` and log rotation write them.
class Inflation {
 public:
  Inflation() { inflateInit2(&stream_, 15 + 16); }  // the largest window, and a gzip header
  Inflation(const Inflation&) = delete;
  Inflation& operator=(const Inflation&) = delete;
  Inflation(Inflation&&) = delete;
  Inflation& operator=(Inflation&&) = delete;
  ~Inflation() { inflateEnd(&stream_); }

  /// False if this is no gzip.
  bool add(std::string_view bytes, LineSplitter& lines) {
    // zlib's next_in is not const, but inflate() only reads it.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    while (stream_.avail_in > 0) {
      if (at_end_) {
        if (*stream_.next_in == 0) {  // padding, as tar and tapes leave it
          stream_.next_in++;
          stream_.avail_in--;
          continue;
        }
        inflateReset(&stream_);
        at_end_ = false;
      }
      stream_.next_out = reinterpret_cast<Bytef*>(out_.data());
      stream_.avail_out = static_cast<uInt>(out_.size());
      const int done = inflate(&stream_, Z_NO_FLUSH);
      lines.add({out_.data(), out_.size() - stream_.avail_out});
      if (done != Z_OK && done != Z_STREAM_END && done != Z_BUF_ERROR) {
        return false;
      }
      at_end_ = done == Z_STREAM_END;
    }
    return true;
  }

  [[nodiscard]] bool at_end() const { return at_end_; }

 private:
  z_stream stream_{};
  std::vector<char> out_ = std::vector<char>(kPiece);
  bool at_end_ = false;
};

/// Up to `size` bytes: fewer only at the end. Negative, with errno, on an error.
ssize_t read_fully(int fd, char* to, std::size_t size) {
  std::size_t has = 0;
  while (has < size) {
    const ssize_t got = read(fd, to + has, size - has);
    if (got == 0) {
      break;
    }
    if (got < 0 && errno != EINTR) {
      return -1;
    }
    has += got > 0 ? static_cast<std::size_t>(got) : 0;
  }
  return static_cast<ssize_t>(has);
}

}  // namespace

void LineSplitter::end_line(std::string_view last_piece) {
  lines_++;
  const std::size_t length = begun_.size() + last_piece.size();
  if (passing_over_ || length > longest_) {
    too_long_++;
    first_too_long_ = first_too_long_ == 0 ? lines_ : first_too_long_;
  } else if (begun_.empty()) {
    on_line_(last_piece, lines_);
  } else {
    begun_ += last_piece;
    on_line_(begun_, lines_);
  }
  passing_over_ = false;
  begun_.clear();
}

void LineSplitter::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const auto* const newline = static_cast<const char*>(std::memchr(bytes.data(), '\n', bytes.size()));
    if (newline == nullptr) {
      break;
    }
    const auto length = static_cast<std::size_t>(newline - bytes.data());
    end_line(bytes.substr(0, length));
    bytes.remove_prefix(length + 1);
  }
  if (!passing_over_) {
    begun_ += bytes;
    if (begun_.size() > longest_) {
      passing_over_ = true;
      // Its memory, too: the rest of it may be a hundred times as long.
      begun_ = std::string();
    }
  }
}

void LineSplitter::finish() {
  if (passing_over_ || !begun_.empty()) {
    end_line({});
  }
}

Result<void> read_log(int fd, const std::string& name, LineSplitter& lines) {
  std::vector<char> piece(kPiece);
  std::array<char, 2> magic{};
  ssize_t got = read_fully(fd, magic.data(), magic.size());
  const bool gzip = got == 2 && magic[0] == '\x1f' && magic[1] == '\x8b';
  Inflation inflation;
  std::string_view bytes(magic.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (got > 0) {
    if (!gzip) {
      lines.add(bytes);
    } else if (!inflation.add(bytes, lines)) {
      lines.finish();
      return fail("read '" + name + "': it begins as gzip and is damaged further on; what came before counts");
    }
    got = read(fd, piece.data(), piece.size());
    while (got < 0 && errno == EINTR) {
      got = read(fd, piece.data(), piece.size());
    }
    bytes = {piece.data(), got > 0 ? static_cast<std::size_t>(got) : 0};
  }
  const int error = errno;
  lines.finish();
  if (got < 0) {
    return fail_errno("read '" + name + "'", error);
  }
  if (gzip && !inflation.at_end()) {
    return fail("read '" + name + "': the gzip file is cut off; what came before counts");
  }
  return {};
}

}  // namespace hairpind
