// SPDX-License-Identifier: Apache-2.0
#include "certificate_files.hpp"

#include <fcntl.h>
#include <openssl/err.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

// Of a chain with its comments; what is larger is something else.
constexpr std::size_t kLargestFile = 1U << 20U;

bool same(const timespec& one, const timespec& other) {
  return one.tv_sec == other.tv_sec && one.tv_nsec == other.tv_nsec;
}

// In a Secret's volume another version is another file; elsewhere it may be the same one, written anew.
bool same_file(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino && one.st_size == other.st_size &&
         same(one.st_mtim, other.st_mtim) && same(one.st_ctim, other.st_ctim);
}

// What it costs a server to shake hands is the client's choice, within these: none but fast curves, and each session
// has keys of its own. Prometheus comes back once in half a minute, with nothing to be remembered for it.
void restrict_settings(SSL_CTX& settings) {
  SSL_CTX_set_min_proto_version(&settings, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(&settings, "ECDHE+AESGCM:ECDHE+CHACHA20");
  std::string curves = "X25519:P-256:P-384";
  SSL_CTX_ctrl(&settings, SSL_CTRL_SET_GROUPS_LIST, 0, curves.data());
  SSL_CTX_set_options(&settings, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(&settings, 0);
  SSL_CTX_set_session_cache_mode(&settings, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(&settings, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
}

std::string end_of(const X509& certificate) {
  std::tm when{};
  ASN1_TIME_to_tm(X509_get0_notAfter(&certificate), &when);
  std::array<char, 32> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%FT%TZ", &when)};
}

}  // namespace

Result<CertificateFiles> CertificateFiles::open(TlsFiles files) {
  CertificateFiles opened(std::move(files));
  if (const auto read = opened.look_again(); !read) {
    return std::unexpected(read.error());
  }
  return opened;
}

bool CertificateFiles::are_those_in_use() const {
  struct stat certificate{};
  struct stat key{};
  return settings_ && stat(files_.certificate.c_str(), &certificate) == 0 && stat(files_.key.c_str(), &key) == 0 &&
         same_file(certificate, certificate_) && same_file(key, key_);
}

Result<bool> CertificateFiles::look_again() {
  if (are_those_in_use()) {
    return false;
  }
  const auto certificate = read(files_.certificate);
  if (!certificate) {
    return std::unexpected(certificate.error());
  }
  const auto key = read(files_.key);
  if (!key) {
    return std::unexpected(key.error());
  }
  if (auto used = use(*certificate, *key); !used) {
    return std::unexpected(used.error());
  }
  return true;
}

Result<CertificateFiles::File> CertificateFiles::read(const std::string& path) {
  const auto failed = [&](int error) { return fail_errno("read '" + path + "' for TLS", error); };
  // A FIFO is not waited for.
  const FileDescriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  File file;
  if (descriptor.get() < 0 || fstat(descriptor.get(), &file.identity) != 0) {
    return failed(errno);
  }
  if (!S_ISREG(file.identity.st_mode)) {
    return fail("read '" + path + "' for TLS: it is no file");
  }
  std::array<char, 16384> bytes{};
  while (file.text.size() <= kLargestFile) {
    const ssize_t got = ::read(descriptor.get(), bytes.data(), bytes.size());
    if (got < 0 && errno != EINTR) {
      return failed(errno);
    }
    if (got == 0) {
      return file;
    }
    file.text.append(bytes.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  }
  return fail("read '" + path + "' for TLS: it is too large for a certificate or a key");
}

Result<void> CertificateFiles::use(const File& certificate, const File& key) {
  ERR_clear_error();
  Openssl<SSL_CTX> settings(SSL_CTX_new(TLS_server_method()));
  if (!settings) {
    return fail("start TLS: OpenSSL has no server method");
  }
  restrict_settings(*settings);
  const auto chain = memory_of(certificate.text);
  const auto own = next_certificate(chain.get());
  const auto own_key = private_key(key.text);
  if (!own) {
    return fail("the TLS certificate '" + files_.certificate + "' is not PEM");
  }
  if (!own_key) {
    return fail("the TLS key '" + files_.key + "' " + own_key.error().message);
  }
  if (SSL_CTX_use_certificate(settings.get(), own.get()) != 1) {
    const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
    ERR_clear_error();
    return fail("the TLS certificate '" + files_.certificate +
                "' cannot be used: " + (reason != nullptr ? reason : "OpenSSL does not say why"));
  }
  // One of another kind than the certificate's is taken; the check tells.
  if (SSL_CTX_use_PrivateKey(settings.get(), own_key->get()) != 1 || SSL_CTX_check_private_key(settings.get()) != 1) {
    ERR_clear_error();
    return fail("the TLS key '" + files_.key + "' is not that of the certificate '" + files_.certificate + "'");
  }
  while (const auto issuer = next_certificate(chain.get())) {
    SSL_CTX_add1_chain_cert(settings.get(), issuer.get());
  }
  // The end of the file is one.
  ERR_clear_error();
  settings_ = std::move(settings);
  certificate_ = certificate.identity;
  key_ = key.identity;
  valid_until_ = end_of(*own);
  return {};
}

}  // namespace hairpind
