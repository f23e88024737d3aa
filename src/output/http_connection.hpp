// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "hairpind/core/file_descriptor.hpp"
#include "http_request.hpp"

namespace hairpind {

/// One client of the HTTP server, from its first byte to the last: one request, one answer, and the end. Each stage has
/// a deadline, however busy the client is.
///
/// Owns: the socket, which does not block. Called by: the server's thread. Never waits.
class HttpConnection {
 public:
  using Time = std::chrono::steady_clock::time_point;

  enum class Stage : std::uint8_t {
    kAsking,
    kWaiting,    ///< for its answer
    kAnswering,  ///< more of the answer is to be written
    kLeaving,    ///< all is written; the client is to close first, or what is on its way to it would be lost
    kFlushing,   ///< it has closed its side, and may not have taken all yet: not to be polled, only to be waited for
    kOver,
  };

  HttpConnection(FileDescriptor socket, Time now);
  /// What the client has not taken by then is dropped: else the kernel would keep it for minutes, for nobody.
  ~HttpConnection();
  HttpConnection(HttpConnection&&) = default;
  HttpConnection& operator=(HttpConnection&&) = default;

  /// The socket is ready, or may be: reads, or writes, what there is.
  void go_on(Time now);
  /// In kWaiting. `body`, which many may share, is sent after `head`; null: none.
  void answer(std::string head, std::shared_ptr<const std::string> body, Time now);

  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] const HttpRequest& request() const { return request_; }
  [[nodiscard]] int socket() const { return socket_.get(); }
  /// What poll(2) is to wait for.
  [[nodiscard]] short events() const;
  [[nodiscard]] Time deadline() const { return deadline_; }
  /// When the last byte of question or answer moved.
  [[nodiscard]] Time idle_since() const { return idle_since_; }
  /// It is being sent a body, or the kernel may still have some of it.
  [[nodiscard]] bool had_body() const { return had_body_; }

 private:
  void read(Time now);
  void write(Time now);
  void drain();
  [[nodiscard]] std::string_view rest() const;
  [[nodiscard]] bool all_taken() const;

  FileDescriptor socket_;
  HttpRequest request_;
  Stage stage_ = Stage::kAsking;
  Time idle_since_;
  Time deadline_;
  std::string head_;
  std::shared_ptr<const std::string> body_;
  bool had_body_ = false;
  std::size_t sent_ = 0;     ///< of head and body
  std::size_t drained_ = 0;  ///< of what came after the request
};

}  // namespace hairpind
