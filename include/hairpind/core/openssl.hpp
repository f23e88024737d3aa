// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

#include "hairpind/core/error.hpp"

namespace hairpind {

struct OpensslDeleter {
  void operator()(SSL_CTX* settings) const { SSL_CTX_free(settings); }
  void operator()(SSL* session) const { SSL_free(session); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};

/// An object of OpenSSL's, and its owner. Who includes this links OpenSSL.
template <typename T>
using Openssl = std::unique_ptr<T, OpensslDeleter>;

/// To read `text` from, which outlives it.
inline Openssl<BIO> memory_of(const std::string& text) {
  return Openssl<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// The next of a bundle or chain; null at the end, of which OpenSSL's queue has an error then.
inline Openssl<X509> next_certificate(BIO* pem) {
  return Openssl<X509>(PEM_read_bio_X509(pem, nullptr, nullptr, nullptr));
}

/// The private key in `pem`. One that a password keeps is refused: without being told so, OpenSSL would ask for it at
/// the terminal. An error says what the key is not, for its owner to name; OpenSSL's queue is empty after either.
inline Result<Openssl<EVP_PKEY>> private_key(const std::string& pem) {
  const auto no_password = [](char* /*into*/, int /*size*/, int /*writing*/, void* /*of*/) { return -1; };
  Openssl<EVP_PKEY> key(PEM_read_bio_PrivateKey(memory_of(pem).get(), nullptr, no_password, nullptr));
  const bool locked = !key && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ;
  ERR_clear_error();
  if (!key) {
    return fail(locked ? "is not PEM without a password" : "is not PEM");
  }
  return key;
}

}  // namespace hairpind
