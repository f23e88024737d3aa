// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/api_client.hpp"

#include <httplib.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <fstream>

#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/kube/retry_after.hpp"

namespace hairpind {
namespace {

constexpr std::chrono::seconds kConnectTimeout{5};
constexpr std::chrono::seconds kAnswerTimeout{30};

struct OpensslDeleter {
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(BIO* bio) const { BIO_free(bio); }
};
template <typename T>
using Openssl = std::unique_ptr<T, OpensslDeleter>;

Openssl<BIO> memory_of(const std::string& text) {
  return Openssl<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string explain(httplib::Error error) {
  switch (error) {
    case httplib::Error::SSLServerVerification:
      return "its certificate is not signed by the expected CA, or is for another name";
    case httplib::Error::SSLConnection:
      return "no TLS connection";
    case httplib::Error::SSLLoadingCerts:
      return "the CA certificate cannot be used";
    case httplib::Error::Connection:
    case httplib::Error::ConnectionTimeout:
      return "no connection";
    case httplib::Error::Read:
      return "it stopped answering";
    default:
      return httplib::to_string(error);
  }
}

// OpenSSL reads CAs from a path, and the library would trust the system's authorities too without one. A memory file
// has a path, and needs no writable disk.
Result<FileDescriptor> memory_file(const std::string& content) {
  FileDescriptor file(memfd_create("hairpind-ca", MFD_CLOEXEC));
  if (file.get() < 0 || write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) {
    return fail_errno("keep the API server's CA certificate in memory", errno);
  }
  return file;
}

std::optional<std::chrono::seconds> retry_after(const httplib::Response& response) {
  return parse_retry_after(response.get_header_value("Retry-After"), response.get_header_value("Date"),
                           std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()));
}

}  // namespace

struct ApiClient::Connection {
  ClusterAccess access;
  FileDescriptor ca;
  Openssl<X509> certificate;
  Openssl<EVP_PKEY> key;
  std::unique_ptr<httplib::SSLClient> client;
  std::atomic<bool> stopped{false};

  [[nodiscard]] Result<httplib::Headers> headers() const {
    httplib::Headers headers{{"Accept", "application/json"}, {"User-Agent", "hairpind"}};
    std::string token = access.token;
    if (!access.token_file.empty()) {
      std::ifstream file(access.token_file);
      token.assign(std::istreambuf_iterator<char>(file), {});
      while (!token.empty() && (token.back() == '\n' || token.back() == ' ')) {
        token.pop_back();
      }
      if (token.empty()) {
        return fail("token file '" + access.token_file + "' is empty or cannot be read");
      }
    }
    if (!token.empty()) {
      headers.emplace("Authorization", "Bearer " + token);
    }
    return headers;
  }
};

ApiClient::ApiClient(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}
ApiClient::~ApiClient() = default;

Result<std::unique_ptr<ApiClient>> ApiClient::create(ClusterAccess access) {
  auto connection = std::make_unique<Connection>();
  if (!access.client_certificate_pem.empty()) {
    connection->certificate.reset(
        PEM_read_bio_X509(memory_of(access.client_certificate_pem).get(), nullptr, nullptr, nullptr));
    connection->key.reset(PEM_read_bio_PrivateKey(memory_of(access.client_key_pem).get(), nullptr, nullptr, nullptr));
    if (!connection->certificate || !connection->key) {
      return fail("Kubernetes: the client certificate or its key is not PEM");
    }
  }
  connection->client = std::make_unique<httplib::SSLClient>(access.host, access.port, connection->certificate.get(),
                                                            connection->key.get());
  httplib::SSLClient& client = *connection->client;
  client.enable_server_certificate_verification(access.verify);
  if (access.verify && !access.ca_pem.empty()) {
    if (!Openssl<X509>(PEM_read_bio_X509(memory_of(access.ca_pem).get(), nullptr, nullptr, nullptr))) {
      return fail("Kubernetes: the API server's CA certificate is not PEM");
    }
    auto ca = memory_file(access.ca_pem);
    if (!ca) {
      return std::unexpected(ca.error());
    }
    connection->ca = *std::move(ca);
    client.set_ca_cert_path("/proc/self/fd/" + std::to_string(connection->ca.get()));
  }
  client.set_keep_alive(true);
  client.set_connection_timeout(kConnectTimeout);
  client.set_write_timeout(kAnswerTimeout);
  connection->access = std::move(access);
  return std::unique_ptr<ApiClient>(new ApiClient(std::move(connection)));
}

Result<ApiClient::Response> ApiClient::get(const std::string& path) {
  std::string body;
  auto response = stream(
      path, kAnswerTimeout, [] {},
      [&](std::string_view piece) {
        body += piece;
        return true;
      });
  if (response && response->status == 200) {
    response->body = std::move(body);
  }
  return response;
}

Result<ApiClient::Response> ApiClient::stream(const std::string& path, std::chrono::seconds silence,
                                              const std::function<void()>& on_open, const OnPiece& on_piece) {
  auto headers = connection_->headers();
  if (!headers) {
    return std::unexpected(headers.error());
  }
  if (connection_->stopped) {
    return fail("stopped");
  }
  Response response;
  connection_->client->set_read_timeout(silence);
  const auto result = connection_->client->Get(
      path, *headers,
      [&](const httplib::Response& head) {
        response.status = head.status;
        response.retry_after = retry_after(head);
        if (response.status == 200) {
          on_open();
        }
        return true;
      },
      [&](const char* data, std::size_t length) {
        if (response.status == 200) {
          return on_piece({data, length});
        }
        response.body.append(data, length);
        return true;
      });
  // Ended by on_piece: what came is an answer.
  const bool ended_here = result.error() == httplib::Error::Canceled && response.status == 200;
  if (!result && !ended_here) {
    return fail("API server " + connection_->access.url() + ": " + explain(result.error()));
  }
  return response;
}

void ApiClient::stop() {
  connection_->stopped = true;
  connection_->client->stop();
}

}  // namespace hairpind
