// SPDX-License-Identifier: Apache-2.0
#include "tls_connection.hpp"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <poll.h>

#include <array>

#include "tcp_connect.hpp"

namespace hairpind {
namespace {

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(AF_INET, name.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, name.c_str(), bytes.data()) == 1;
}

std::string why_not_trusted(long result, const std::string& name) {
  switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "its certificate is not for '" + name + "' (a kubeconfig's tls-server-name says which name it is for)";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return std::string("its certificate is not signed by the expected CA (") + X509_verify_cert_error_string(result) +
             ")";
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "its certificate has expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "its certificate is not valid yet (is this node's clock right?)";
    default:
      return std::string("its certificate is not trusted: ") + X509_verify_cert_error_string(result);
  }
}

Result<void> trust(SSL_CTX& settings, const std::string& bundle) {
  if (bundle.empty()) {
    SSL_CTX_set_default_verify_paths(&settings);
    return {};
  }
  const auto pem = memory_of(bundle);
  int count = 0;
  // While a CA is being replaced the bundle has the old one and the new one.
  while (const auto certificate = next_certificate(pem.get())) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(&settings), certificate.get());
    count++;
  }
  ERR_clear_error();
  return count > 0 ? Result<void>() : fail("the API server's CA certificate is not PEM");
}

Result<void> identify(SSL_CTX& settings, const TlsConnection::Peer& peer) {
  if (peer.certificate_pem.empty()) {
    return {};
  }
  const auto chain = memory_of(peer.certificate_pem);
  const auto certificate = next_certificate(chain.get());
  const auto key = private_key(peer.key_pem);
  if (!certificate) {
    return fail("the client certificate is not PEM");
  }
  if (!key) {
    return fail("the client certificate's key " + key.error().message);
  }
  if (SSL_CTX_use_certificate(&settings, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(&settings, key->get()) != 1) {
    return fail("the client certificate and its key do not belong together");
  }
  while (const auto issuer = next_certificate(chain.get())) {
    SSL_CTX_add1_chain_cert(&settings, issuer.get());
  }
  ERR_clear_error();
  return {};
}

}  // namespace

Result<Openssl<SSL_CTX>> TlsConnection::settings_for(const Peer& peer) {
  Openssl<SSL_CTX> settings(SSL_CTX_new(TLS_client_method()));
  if (!settings) {
    return fail("start TLS: OpenSSL has no client method");
  }
  SSL_CTX_set_min_proto_version(settings.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(settings.get(), SSL_MODE_RELEASE_BUFFERS);
  // Connections that end without TLS's goodbye end all the same; the HTTP answer says whether it was whole.
  SSL_CTX_set_options(settings.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (peer.verify) {
    if (auto trusted = trust(*settings, peer.ca_pem); !trusted) {
      return std::unexpected(trusted.error());
    }
    SSL_CTX_set_verify(settings.get(), SSL_VERIFY_PEER, nullptr);
  }
  if (auto identified = identify(*settings, peer); !identified) {
    return std::unexpected(identified.error());
  }
  return settings;
}

Result<std::unique_ptr<TlsConnection>> TlsConnection::open(const Peer& peer, Deadline deadline, int stop) {
  const auto settings = settings_for(peer);
  if (!settings) {
    return std::unexpected(settings.error());
  }
  auto socket = tcp_connect(peer.host, peer.port, peer.proxy, deadline, stop);
  if (!socket) {
    return std::unexpected(socket.error());
  }
  Openssl<SSL> session(SSL_new(settings->get()));
  if (!session || SSL_set_fd(session.get(), socket->get()) != 1) {
    return fail("start TLS: no memory");
  }
  std::unique_ptr<TlsConnection> connection(new TlsConnection(*std::move(socket), std::move(session)));
  if (auto shaken = connection->shake_hands(peer, deadline, stop); !shaken) {
    return std::unexpected(shaken.error());
  }
  return connection;
}

Result<void> TlsConnection::shake_hands(const Peer& peer, Deadline deadline, int stop) {
  SSL* const session = session_.get();
  X509_VERIFY_PARAM* const expected = SSL_get0_param(session);
  // The common name is no name of a server's any more (RFC 9525, 4.2).
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (is_address(peer.name)) {
    X509_VERIFY_PARAM_set1_ip_asc(expected, peer.name.c_str());
  } else {
    X509_VERIFY_PARAM_set1_host(expected, peer.name.c_str(), 0);
    // The macro's cast is an old one; the name is read only.
    SSL_ctrl(session, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, const_cast<char*>(peer.name.c_str()));
  }
  for (;;) {
    ERR_clear_error();
    const int result = SSL_connect(session);
    if (result == 1) {
      return {};
    }
    if (const long trusted = SSL_get_verify_result(session); peer.verify && trusted != X509_V_OK) {
      return fail(why_not_trusted(trusted, peer.name));
    }
    if (auto waited = wait_after(result, "TLS handshake", deadline, stop); !waited) {
      return waited;
    }
  }
}

Result<void> TlsConnection::wait_after(int result, const char* doing, Deadline deadline, int stop) {
  const int saved = errno;
  const std::string what = std::string(doing) + ": ";
  const int state = SSL_get_error(session_.get(), result);
  switch (state) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: {
      const short events = state == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
      auto waited = wait_for(socket_.get(), events, deadline, stop);
      return waited ? waited : fail(what + waited.error().message);
    }
    case SSL_ERROR_ZERO_RETURN:
      return fail(what + "it closed the connection");
    case SSL_ERROR_SYSCALL:
      return saved == 0 ? fail(what + "it closed the connection") : fail_errno(doing, saved);
    default: {
      const char* const reason = ERR_reason_error_string(ERR_get_error());
      return fail(what + (reason == nullptr ? "it failed" : reason));
    }
  }
}

Result<void> TlsConnection::write(std::string_view bytes, Deadline deadline, int stop) {
  for (;;) {
    ERR_clear_error();
    errno = 0;
    std::size_t written = 0;
    const int result = SSL_write_ex(session_.get(), bytes.data(), bytes.size(), &written);
    if (result == 1) {
      return {};
    }
    if (auto waited = wait_after(result, "send", deadline, stop); !waited) {
      return waited;
    }
  }
}

Result<std::size_t> TlsConnection::read(std::span<char> into, Deadline deadline, int stop) {
  for (;;) {
    ERR_clear_error();
    errno = 0;
    std::size_t got = 0;
    const int result = SSL_read_ex(session_.get(), into.data(), into.size(), &got);
    if (result == 1) {
      return got;
    }
    if (SSL_get_error(session_.get(), result) == SSL_ERROR_ZERO_RETURN) {
      return std::size_t{0};
    }
    if (auto waited = wait_after(result, "read", deadline, stop); !waited) {
      return std::unexpected(waited.error());
    }
  }
}

}  // namespace hairpind
