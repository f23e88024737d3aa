// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/api_client.hpp"

#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <utility>

#include "credentials.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/kube/retry_after.hpp"
#include "http_response.hpp"
#include "tls_connection.hpp"

namespace hairpind {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kConnectTimeout{5};
constexpr std::chrono::seconds kAnswerTimeout{30};
constexpr std::size_t kLongestBody = 4U << 20U;
// What a refusal says stands at its beginning.
constexpr std::size_t kLongestRefusal = 64U << 10U;

std::optional<std::chrono::seconds> retry_after(const HttpResponse& response) {
  return parse_retry_after(response.header("retry-after"), response.header("date"),
                           std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

}  // namespace

class ApiClient::Connection {
 public:
  Connection(ClusterAccess access, FileDescriptor stop) : credentials_(std::move(access)), stop_(std::move(stop)) {}

  /// `change`: null to get.
  Result<Response> ask(const std::string& path, const Change* change, std::chrono::milliseconds silence,
                       const std::function<void()>& on_open, const OnPiece& on_piece);
  /// The same with the body of a 200 whole.
  Result<Response> ask_whole(const std::string& path, const Change* change);
  void stop() const { eventfd_write(stop_.get(), 1); }

 private:
  enum class Answered : std::uint8_t { kWhole, kNothing };

  [[nodiscard]] Result<std::string> request_for(const std::string& path, const Change* change) const;
  /// Connects, unless there is a connection that still stands for what the credentials say.
  Result<void> connect(const TlsConnection::Peer& peer);
  Result<Answered> exchange(const std::string& request, std::chrono::milliseconds silence, HttpResponse& parser,
                            const std::function<void()>& on_head, const OnPiece& on_piece);
  [[nodiscard]] std::unexpected<Error> failed(const Error& error) const {
    return fail("API server " + credentials_.access().url() + ": " + error.message);
  }

  Credentials credentials_;
  const FileDescriptor stop_;
  TlsConnection::Peer peer_;
  std::unique_ptr<TlsConnection> tls_;
  bool used_ = false;  ///< tls_ has served a request
};

Result<std::string> ApiClient::Connection::request_for(const std::string& path, const Change* change) const {
  const auto token = credentials_.token();
  if (!token) {
    return std::unexpected(token.error());
  }
  const ClusterAccess& access = credentials_.access();
  const std::string host = access.host.contains(':') ? "[" + access.host + "]" : access.host;
  std::string request = (change == nullptr ? "GET" : change->method) + " " + access.path + path +
                        " HTTP/1.1\r\nHost: " + host + ":" + std::to_string(access.port) +
                        "\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\nUser-Agent: hairpind\r\n";
  if (!token->empty()) {
    request += "Authorization: Bearer " + *token + "\r\n";
  }
  if (change == nullptr) {
    return request + "\r\n";
  }
  return request + "Content-Type: " + change->content_type +
         "\r\nContent-Length: " + std::to_string(change->body.size()) + "\r\n\r\n" + change->body;
}

Result<void> ApiClient::Connection::connect(const TlsConnection::Peer& peer) {
  if (tls_ && peer == peer_) {
    return {};
  }
  tls_.reset();
  auto opened = TlsConnection::open(peer, Clock::now() + kConnectTimeout, stop_.get());
  if (!opened) {
    return failed(opened.error());
  }
  tls_ = *std::move(opened);
  peer_ = peer;
  used_ = false;
  return {};
}

Result<ApiClient::Connection::Answered> ApiClient::Connection::exchange(const std::string& request,
                                                                        std::chrono::milliseconds silence,
                                                                        HttpResponse& parser,
                                                                        const std::function<void()>& on_head,
                                                                        const OnPiece& on_piece) {
  bool anything = false;
  auto written = tls_->write(request, Clock::now() + kAnswerTimeout, stop_.get());
  std::array<char, 16384> buffer;
  while (written && !parser.complete() && !parser.abandoned()) {
    const auto got = tls_->read(buffer, Clock::now() + silence, stop_.get());
    if (!got) {
      written = std::unexpected(got.error());
      break;
    }
    if (*got == 0) {
      if (!anything) {
        written = fail("it closed the connection");
        break;
      }
      written = parser.finish();
      break;
    }
    anything = true;
    written = parser.feed({buffer.data(), *got}, on_head, on_piece);
  }
  if (!written) {
    tls_.reset();
    // A server may close an idle connection while the next request is on its way.
    return !anything && used_ ? Result<Answered>(Answered::kNothing) : failed(written.error());
  }
  used_ = true;
  if (!parser.reusable()) {
    tls_.reset();
  }
  return Answered::kWhole;
}

Result<ApiClient::Response> ApiClient::Connection::ask(const std::string& path, const Change* change,
                                                       std::chrono::milliseconds silence,
                                                       const std::function<void()>& on_open, const OnPiece& on_piece) {
  const auto peer = credentials_.peer(stop_.get());
  if (!peer) {
    return failed(peer.error());
  }
  const auto request = request_for(path, change);
  if (!request) {
    return failed(request.error());
  }
  for (;;) {
    if (auto connected = connect(*peer); !connected) {
      return std::unexpected(connected.error());
    }
    Response response;
    HttpResponse parser;
    const auto answered = exchange(
        *request, silence, parser,
        [&] {
          response.status = parser.status();
          response.retry_after = retry_after(parser);
          if (response.status == 200) {
            on_open();
          }
        },
        [&](std::string_view piece) {
          if (response.status == 200) {
            return on_piece(piece);
          }
          response.body += piece.substr(0, kLongestRefusal - response.body.size());
          return response.body.size() < kLongestRefusal;
        });
    if (!answered) {
      return std::unexpected(answered.error());
    }
    if (*answered == Answered::kWhole) {
      if (response.status == 401) {
        credentials_.refused();
      }
      return response;
    }
  }
}

Result<ApiClient::Response> ApiClient::Connection::ask_whole(const std::string& path, const Change* change) {
  std::string body;
  auto response = ask(
      path, change, kAnswerTimeout, [] {},
      [&](std::string_view piece) {
        body += piece.substr(0, kLongestBody + 1 - body.size());
        return body.size() <= kLongestBody;
      });
  if (body.size() > kLongestBody) {
    return fail(path + ": an answer beyond " + std::to_string(kLongestBody >> 20U) + " MiB");
  }
  if (response && response->status == 200) {
    response->body = std::move(body);
  }
  return response;
}

ApiClient::ApiClient(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
ApiClient::~ApiClient() = default;

Result<std::unique_ptr<ApiClient>> ApiClient::create(ClusterAccess access) {
  FileDescriptor stop(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (stop.get() < 0) {
    return fail_errno("open an eventfd for the Kubernetes client", errno);
  }
  return std::unique_ptr<ApiClient>(new ApiClient(std::make_unique<Connection>(std::move(access), std::move(stop))));
}

Result<ApiClient::Response> ApiClient::get(const std::string& path) {
  return connection_->ask_whole(path, nullptr);
}

Result<ApiClient::Response> ApiClient::send(const std::string& path, const Change& change) {
  return connection_->ask_whole(path, &change);
}

Result<ApiClient::Response> ApiClient::stream(const std::string& path, std::chrono::milliseconds silence,
                                              const std::function<void()>& on_open, const OnPiece& on_piece) {
  return connection_->ask(path, nullptr, silence, on_open, on_piece);
}

void ApiClient::stop() {
  connection_->stop();
}

}  // namespace hairpind
