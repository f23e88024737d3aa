// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <memory>
#include <string>

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

/// Null where there is none, or where a password keeps it, which without being told otherwise OpenSSL asks for at the
/// terminal; locked_by_password() tells, as long as OpenSSL's queue is as it was left.
inline Openssl<EVP_PKEY> private_key(BIO* pem) {
  const auto no_password = [](char* /*into*/, int /*size*/, int /*writing*/, void* /*of*/) { return -1; };
  return Openssl<EVP_PKEY>(PEM_read_bio_PrivateKey(pem, nullptr, no_password, nullptr));
}

inline bool locked_by_password() {
  return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_BAD_PASSWORD_READ;
}

}  // namespace hairpind
