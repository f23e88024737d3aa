// SPDX-License-Identifier: Apache-2.0
#pragma once

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

}  // namespace hairpind
