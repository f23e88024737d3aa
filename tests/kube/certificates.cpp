// SPDX-License-Identifier: Apache-2.0
#include "certificates.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>

namespace hairpind::testing {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

struct Authority {
  Key key;
  Certificate certificate;
};

void require(bool done, const char* what) {
  if (!done) {
    throw std::runtime_error(std::string("OpenSSL: ") + what);
  }
}

Key make_key() {
  Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free);
  require(key != nullptr, "no key");
  return key;
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const std::unique_ptr<X509_EXTENSION, decltype(&X509_EXTENSION_free)> extension(
      X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), X509_EXTENSION_free);
  require(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1, value.c_str());
}

/// Everything but the extensions and the signature.
Certificate unsigned_certificate(const std::string& common_name, EVP_PKEY* key, std::chrono::seconds valid_for) {
  Certificate certificate(X509_new(), X509_free);
  require(certificate != nullptr, "no certificate");
  std::uint64_t serial = 0;
  require(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial)) == 1, "no random number");
  require(X509_set_version(certificate.get(), X509_VERSION_3) == 1, "version");
  // Positive, as RFC 5280 wants it.
  require(ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1 | 1) == 1, "serial number");
  // Long before any end that valid_for may name.
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()),
                  -static_cast<long>(std::chrono::days(30) / std::chrono::seconds(1)));
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), static_cast<long>(valid_for.count()));
  require(X509_set_pubkey(certificate.get(), key) == 1, "public key");
  require(X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0) == 1,
          "subject");
  return certificate;
}

Authority make_authority(const std::string& common_name) {
  Authority authority{.key = make_key(), .certificate = Certificate(nullptr, X509_free)};
  authority.certificate = unsigned_certificate(common_name, authority.key.get(), std::chrono::hours(24));
  X509* certificate = authority.certificate.get();
  X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
  add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
  add_extension(certificate, certificate, NID_key_usage, "critical,digitalSignature,keyCertSign,cRLSign");
  add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
  require(X509_sign(certificate, authority.key.get(), EVP_sha256()) > 0, "no signature");
  return authority;
}

template <typename Write>
std::string pem(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  require(bio != nullptr && write(bio.get()) == 1, "no PEM");
  std::string text(BIO_ctrl_pending(bio.get()), '\0');
  BIO_read(bio.get(), text.data(), static_cast<int>(text.size()));
  return text;
}

std::string pem_of(X509* certificate) {
  return pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

/// `names` empty: a client's.
KeyPair make_pair(const Authority& authority, const std::string& common_name, const std::string& names,
                  std::chrono::seconds valid_for) {
  const Key key = make_key();
  const Certificate certificate = unsigned_certificate(common_name, key.get(), valid_for);
  X509* issuer = authority.certificate.get();
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(issuer));
  add_extension(certificate.get(), issuer, NID_basic_constraints, "critical,CA:FALSE");
  add_extension(certificate.get(), issuer, NID_key_usage, "critical,digitalSignature");
  add_extension(certificate.get(), issuer, NID_ext_key_usage, names.empty() ? "clientAuth" : "serverAuth");
  add_extension(certificate.get(), issuer, NID_authority_key_identifier, "keyid");
  if (!names.empty()) {
    add_extension(certificate.get(), issuer, NID_subject_alt_name, names);
  }
  require(X509_sign(certificate.get(), authority.key.get(), EVP_sha256()) > 0, "no signature");
  return {.certificate = pem_of(certificate.get()), .private_key = pem([&](BIO* bio) {
                                                      return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr,
                                                                                      0, nullptr, nullptr);
                                                    })};
}

}  // namespace

Certificates make_certificates(const std::string& server_names, std::chrono::seconds valid_for) {
  const Authority authority = make_authority("kubernetes");
  const Authority other = make_authority("another-kubernetes");
  return {.ca = pem_of(authority.certificate.get()),
          .server = make_pair(authority, "kube-apiserver", server_names, valid_for),
          .client = make_pair(authority, kClientName, "", std::chrono::hours(24)),
          .other_ca = pem_of(other.certificate.get()),
          .other_server = make_pair(other, "kube-apiserver", server_names, valid_for)};
}

std::string locked(const std::string& private_key) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> text(
      BIO_new_mem_buf(private_key.data(), static_cast<int>(private_key.size())), BIO_free);
  const Key key(PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  require(key != nullptr, "no key in the text");
  std::string password = "secret";
  return pem([&](BIO* bio) {
    return PEM_write_bio_PrivateKey(bio, key.get(), EVP_aes_256_cbc(),
                                    reinterpret_cast<unsigned char*>(password.data()),
                                    static_cast<int>(password.size()), nullptr, nullptr);
  });
}

}  // namespace hairpind::testing
