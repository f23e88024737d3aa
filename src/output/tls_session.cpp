// SPDX-License-Identifier: Apache-2.0
#include "tls_session.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>

namespace hairpind {

TlsSession::TlsSession(SSL_CTX& settings) : session_(SSL_new(&settings)) {
  in_ = BIO_new(BIO_s_mem());
  out_ = BIO_new(BIO_s_mem());
  if (!session_ || in_ == nullptr || out_ == nullptr) {
    BIO_free(in_);
    BIO_free(out_);
    session_.reset();
    return;
  }
  // Empty is not the end: more may come.
  BIO_ctrl(in_, BIO_C_SET_BUF_MEM_EOF_RETURN, -1, nullptr);
  SSL_set_bio(session_.get(), in_, out_);
  SSL_set_accept_state(session_.get());
}

bool TlsSession::take(std::string_view bytes, std::string& said) {
  // OpenSSL's queue of errors is the thread's: what another session has left there would be this one's.
  ERR_clear_error();
  if (!session_ || BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())) != std::ssize(bytes)) {
    return false;
  }
  for (;;) {
    std::array<char, 4096> text{};
    std::size_t got = 0;
    // Shakes hands first.
    const int result = SSL_read_ex(session_.get(), text.data(), text.size(), &got);
    if (result != 1) {
      const bool goes_on = SSL_get_error(session_.get(), result) == SSL_ERROR_WANT_READ;
      ERR_clear_error();
      return goes_on;
    }
    said.append(text.data(), got);
  }
}

bool TlsSession::say(std::string_view piece) {
  ERR_clear_error();
  std::size_t taken = 0;
  return SSL_write_ex(session_.get(), piece.data(), piece.size(), &taken) == 1 && taken == piece.size();
}

void TlsSession::say_goodbye() {
  ERR_clear_error();
  SSL_shutdown(session_.get());
  ERR_clear_error();
}

std::string_view TlsSession::to_send() const {
  char* bytes = nullptr;
  const long length = session_ ? BIO_ctrl(out_, BIO_CTRL_INFO, 0, static_cast<void*>(&bytes)) : 0;
  return {bytes, static_cast<std::size_t>(std::max(length, 0L))};
}

void TlsSession::sent(std::size_t bytes) {
  std::array<char, 4096> gone{};
  while (bytes > 0) {
    const int read = BIO_read(out_, gone.data(), static_cast<int>(std::min(bytes, gone.size())));
    if (read <= 0) {
      return;
    }
    bytes -= static_cast<std::size_t>(read);
  }
}

}  // namespace hairpind
