// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "certificate_files.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "http_request.hpp"
#include "tls_session.hpp"

namespace hairpind {

/// Who has come, and where to.
struct HttpClient {
  bool is_here = false;                           ///< on this machine
  bool probes_only = false;                       ///< by the listener for these
  const CertificateFiles* certificate = nullptr;  ///< null: plain HTTP
};

/// One client of the HTTP server, from its first byte to the last: one request, one answer, and the end. Each stage has
/// a deadline, however busy the client is.
///
/// Owns: the socket, which does not block. Called by: the server's thread. Never waits.
class HttpConnection {
 public:
  using Time = std::chrono::steady_clock::time_point;

  enum class Stage : std::uint8_t {
    kAsking,     ///< with TLS: from its first greeting on
    kWaiting,    ///< for its answer
    kAnswering,  ///< more of the answer is to be written
    kLeaving,    ///< all is written; the client is to close first, or what is on its way to it would be lost
    kFlushing,   ///< it has closed its side, and may not have taken all yet: not to be polled, only to be waited for
    kOver,
  };

  /// The client's certificate, if any, outlives this.
  HttpConnection(FileDescriptor socket, HttpClient client, Time now);
  /// What the client has not taken by then is dropped: else the kernel would keep it for minutes, for nobody.
  ~HttpConnection();
  HttpConnection(HttpConnection&&) = default;
  HttpConnection& operator=(HttpConnection&&) = default;

  /// The socket is ready, or may be: reads, or writes, what there is.
  void go_on(Time now);
  /// In kWaiting. `body`, which many may share, is sent after `head`; null: none.
  void answer(std::string head, std::shared_ptr<const std::string> body, Time now);

  [[nodiscard]] Stage stage() const { return stage_; }
  [[nodiscard]] const HttpClient& client() const { return client_; }
  [[nodiscard]] const HttpRequest& request() const { return request_; }
  [[nodiscard]] int socket() const { return socket_.get(); }
  /// What poll(2) is to wait for.
  [[nodiscard]] short events() const;
  [[nodiscard]] Time deadline() const { return deadline_; }
  /// When the last byte of question or answer moved.
  [[nodiscard]] Time idle_since() const { return idle_since_; }
  /// To read more of its question takes TLS's work.
  [[nodiscard]] bool is_deciphering() const { return client_.certificate != nullptr && stage_ == Stage::kAsking; }
  /// And it has begun: there is memory for it.
  [[nodiscard]] bool is_shaking() const { return tls_ && stage_ == Stage::kAsking; }
  /// It is being sent a body, or the kernel may still have some of it.
  [[nodiscard]] bool had_body() const { return had_body_; }

 private:
  void read(Time now);
  void decipher(std::string_view bytes, Time now);
  void take(std::string_view text, Time now);
  void write(Time now);
  void leave(Time now);
  void drain();
  [[nodiscard]] std::string_view rest() const;
  [[nodiscard]] std::string_view next_bytes();
  [[nodiscard]] bool all_taken() const;

  FileDescriptor socket_;
  HttpClient client_;
  HttpRequest request_;
  std::optional<TlsSession> tls_;  ///< from its first byte until all is written
  bool said_goodbye_ = false;      ///< by TLS
  Stage stage_ = Stage::kAsking;
  Time idle_since_;
  Time deadline_;
  std::string head_;
  std::shared_ptr<const std::string> body_;
  bool had_body_ = false;
  std::size_t sent_ = 0;     ///< of head and body; with TLS: enciphered
  std::size_t drained_ = 0;  ///< of what came after the request
};

}  // namespace hairpind
