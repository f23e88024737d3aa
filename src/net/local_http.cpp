// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/local_http.hpp"

#include <netdb.h>
#include <openssl/err.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <memory>
#include <string_view>
#include <utility>

#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/core/openssl.hpp"

namespace hairpind {
namespace {

constexpr std::chrono::seconds kPatience{5};
constexpr std::size_t kLongestAnswer = 8U << 20U;

using AddressInfo = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

AddressInfo numeric_address(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const bool known = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) == 0;
  return {known ? found : nullptr, &freeaddrinfo};
}

std::string loopback_for(const std::string& host) {
  if (host == "0.0.0.0") {
    return "127.0.0.1";
  }
  return host == "::" ? "::1" : host;
}

Result<FileDescriptor> connect_to(const addrinfo& address, const std::string& where) {
  FileDescriptor socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.get() < 0) {
    return fail_errno("socket for " + where, errno);
  }
  // Each call on the socket ends by then.
  const timeval patience{.tv_sec = kPatience.count(), .tv_usec = 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  if (connect(socket.get(), address.ai_addr, address.ai_addrlen) != 0) {
    return fail_errno("connect to the agent on " + where + " (is it running on this node, with that --listen?)", errno);
  }
  return socket;
}

/// One connection, as it is or with TLS on it. Who answers is not verified: it is an address of this machine, which is
/// told nothing but the question, and its certificate is for the names by which others ask.
class Wire {
 public:
  Wire(FileDescriptor socket, std::string where) : socket_(std::move(socket)), where_(std::move(where)) {}

  Result<void> shake_hands() {
    settings_.reset(SSL_CTX_new(TLS_client_method()));
    if (settings_) {
      SSL_CTX_set_verify(settings_.get(), SSL_VERIFY_NONE, nullptr);
      session_.reset(SSL_new(settings_.get()));
    }
    if (!session_ || SSL_set_fd(session_.get(), socket_.get()) != 1) {
      return fail("start TLS: no memory");
    }
    errno = 0;
    const int result = SSL_connect(session_.get());
    return result == 1 ? Result<void>() : failed("shake hands with", result);
  }

  Result<void> send(const std::string& bytes) {
    if (!session_) {
      const ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      return sent == std::ssize(bytes) ? Result<void>() : fail_errno("ask " + where_, errno);
    }
    errno = 0;
    const int result = SSL_write(session_.get(), bytes.data(), static_cast<int>(bytes.size()));
    return result > 0 ? Result<void>() : failed("ask", result);
  }

  /// Empty: nothing more comes.
  Result<std::string_view> read() {
    errno = 0;
    const ssize_t got = session_ ? SSL_read(session_.get(), bytes_.data(), static_cast<int>(bytes_.size()))
                                 : recv(socket_.get(), bytes_.data(), bytes_.size(), 0);
    if (got > 0) {
      return std::string_view(bytes_.data(), static_cast<std::size_t>(got));
    }
    if (session_ && SSL_get_error(session_.get(), static_cast<int>(got)) != SSL_ERROR_ZERO_RETURN) {
      return failed("read the answer of", static_cast<int>(got));
    }
    if (got < 0 && !session_) {
      return fail_errno("read the answer of " + where_, errno == EAGAIN ? ETIMEDOUT : errno);
    }
    return std::string_view();
  }

 private:
  [[nodiscard]] std::unexpected<Error> failed(const std::string& doing, int result) const {
    const int error = errno;
    const std::string what = doing + " " + where_ + " by TLS";
    switch (SSL_get_error(session_.get(), result)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return fail_errno(what, ETIMEDOUT);
      case SSL_ERROR_SYSCALL:
        return error == 0 ? fail(what + ": it closed the connection") : fail_errno(what, error);
      default: {
        const char* const reason = ERR_reason_error_string(ERR_get_error());
        return fail(what + ": " + (reason == nullptr ? "it failed" : reason));
      }
    }
  }

  FileDescriptor socket_;
  std::string where_;
  Openssl<SSL_CTX> settings_;
  Openssl<SSL> session_;  ///< null: as it is
  std::array<char, 16384> bytes_{};
};

Result<std::string> ask(Wire& wire, const std::string& request, const std::string& where) {
  if (const auto sent = wire.send(request); !sent) {
    return std::unexpected(sent.error());
  }
  const auto until = std::chrono::steady_clock::now() + kPatience;
  std::string answer;
  for (;;) {
    const auto bytes = wire.read();
    if (!bytes) {
      return std::unexpected(bytes.error());
    }
    if (bytes->empty()) {
      return answer;
    }
    answer.append(*bytes);
    if (answer.size() > kLongestAnswer || std::chrono::steady_clock::now() > until) {
      return fail("read the answer of " + where + ": it does not end");
    }
  }
}

}  // namespace

Result<std::string> get_local(const std::string& host, std::uint16_t port, const std::string& path) {
  const std::string own = loopback_for(host);
  const std::string where = (own.contains(':') ? "[" + own + "]" : own) + ":" + std::to_string(port);
  const AddressInfo address = numeric_address(own, port);
  if (!address) {
    return fail("'" + host + "' is no address; give the ADDR:PORT that the agent listens on (--listen)");
  }
  const std::string request = "GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
  Result<std::string> answer;
  // An agent that listens with TLS leaves without a word to who speaks none: its options are in a file that is not
  // known here.
  for (const bool tls : {false, true}) {
    auto socket = connect_to(*address, where);
    if (!socket) {
      return std::unexpected(socket.error());
    }
    Wire wire(*std::move(socket), where);
    if (tls) {
      if (const auto shaken = wire.shake_hands(); !shaken) {
        return std::unexpected(shaken.error());
      }
    }
    answer = ask(wire, request, where);
    if (!answer) {
      return answer;
    }
    if (!answer->empty()) {
      break;
    }
  }
  const std::size_t head_end = answer->find("\r\n\r\n");
  const std::string_view status_line = std::string_view(*answer).substr(0, answer->find("\r\n"));
  if (!status_line.starts_with("HTTP/1.1 ") || head_end == std::string::npos) {
    return fail("ask " + where + ": no HTTP answer: is that a hairpind?");
  }
  std::string body = answer->substr(head_end + 4);
  if (!status_line.starts_with("HTTP/1.1 200 ")) {
    return fail("ask " + where + " for " + path + ": " + std::string(status_line.substr(9)) + ": " +
                body.substr(0, body.find('\n')));
  }
  return body;
}

}  // namespace hairpind
