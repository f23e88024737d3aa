// SPDX-License-Identifier: Apache-2.0
#include "api_server.hpp"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <stdexcept>

#include "server_state.hpp"

namespace hairpind::testing {

using nlohmann::json;

namespace {

const Resource& resource_named(const std::string& name) {
  const auto known = std::ranges::find_if(resources(), [&](const Resource& each) { return name == each.name; });
  if (known == resources().end()) {
    throw std::invalid_argument("API server: no resource " + name);
  }
  return *known;
}

}  // namespace

bool ApiServer::State::set_up(SSL_CTX& tls) {
  const auto bio_of = [](const std::string& text) {
    return std::unique_ptr<BIO, decltype(&BIO_free)>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                     BIO_free);
  };
  const auto certificate_of = [&](const std::string& text) {
    return std::unique_ptr<X509, decltype(&X509_free)>(PEM_read_bio_X509(bio_of(text).get(), nullptr, nullptr, nullptr),
                                                       X509_free);
  };
  const auto certificate = certificate_of(options.certificates.server.certificate);
  const auto ca = certificate_of(options.certificates.ca);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bio_of(options.certificates.server.private_key).get(), nullptr, nullptr, nullptr),
      EVP_PKEY_free);
  if (!certificate || !ca || !key || SSL_CTX_use_certificate(&tls, certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(&tls, key.get()) != 1 ||
      X509_STORE_add_cert(SSL_CTX_get_cert_store(&tls), ca.get()) != 1 || SSL_CTX_add_client_CA(&tls, ca.get()) != 1) {
    return false;
  }
  // libcrypto reads a certificate's extensions once, when first used, in a way that ThreadSanitizer cannot follow. So
  // they are used before there are threads.
  for (X509* each : {certificate.get(), ca.get()}) {
    X509_check_purpose(each, -1, 0);
  }
  SSL_CTX_set_min_proto_version(&tls, TLS1_2_VERSION);
  // As the real server: a client certificate is asked for, none or a bad one ends no handshake but may be a 401.
  SSL_CTX_set_verify(&tls, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  static constexpr unsigned char kSessionContext[] = "kube";
  SSL_CTX_set_session_id_context(&tls, kSessionContext, sizeof(kSessionContext));
  connections.follow(tls);
  return true;
}

void ApiServer::State::start() {
  if (!server.is_valid()) {
    throw std::runtime_error("API server: bad certificates");
  }
  // Each watch and each idle connection keeps one.
  server.new_task_queue = [] { return new httplib::ThreadPool(64); };
  server.set_tcp_nodelay(true);
  server.set_keep_alive_max_count(1'000'000);
  server.set_keep_alive_timeout(90);
  // Not httplib's SO_REUSEPORT, with which two servers may share a port unawares; a second one after the first may
  // have it.
  server.set_socket_options([](int fd) {
    const int yes = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  const auto handler = [this](const httplib::Request& request, httplib::Response& response) {
    handle(request, response);
  };
  server.Get(".*", handler).Post(".*", handler).Put(".*", handler).Patch(".*", handler).Delete(".*", handler);
  // httplib's own, which the real server does not send.
  server.set_post_routing_handler(
      [](const httplib::Request&, httplib::Response& response) { response.headers.erase("Keep-Alive"); });
  server.set_logger([this](const httplib::Request&, const httplib::Response& response) {
    compressed += response.get_header_value("Content-Encoding") == "gzip" ? 1 : 0;
  });
  int bound = options.port;
  if (bound == 0) {
    bound = server.bind_to_any_port(options.host);
  } else if (!server.bind_to_port(options.host, bound)) {
    bound = -1;
  }
  if (bound <= 0) {
    throw std::runtime_error("API server: cannot bind " + options.host + ":" + std::to_string(options.port));
  }
  port = static_cast<std::uint16_t>(bound);
  thread = std::thread([this] { server.listen_after_bind(); });
  // stop() does nothing before.
  while (!server.is_running()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void ApiServer::State::stop() {
  {
    const std::scoped_lock lock(mutex);
    stopping = true;
  }
  connections.cut();
  changed.notify_all();
  server.stop();
  thread.join();
}

// --- the test's side ---

ApiServer::ApiServer(ApiServerOptions options) : state_(std::make_unique<State>(std::move(options))) {
  state_->start();
}

ApiServer::~ApiServer() {
  state_->stop();
}

std::uint16_t ApiServer::port() const {
  return state_->port;
}

std::string ApiServer::url() const {
  const std::string& host = state_->options.host;
  return "https://" + (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" + std::to_string(port());
}

const Certificates& ApiServer::certificates() const {
  return state_->options.certificates;
}

std::string ApiServer::token() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->options.token;
}

void ApiServer::set_token(const std::string& token) {
  const std::scoped_lock lock(state_->mutex);
  state_->options.token = token;
}

std::uint64_t ApiServer::upsert(const std::string& resource, json object) {
  const Resource& known = resource_named(resource);
  const std::scoped_lock lock(state_->mutex);
  const Event event = state_->store.upsert(known, std::move(object));
  state_->tell(event);
  return event.revision;
}

bool ApiServer::remove(const std::string& resource, const std::string& name_space, const std::string& name) {
  const Resource& known = resource_named(resource);
  const std::scoped_lock lock(state_->mutex);
  const auto event = state_->store.remove(known, known.namespaced ? name_space + "/" + name : name);
  if (event) {
    state_->tell(*event);
  }
  return event.has_value();
}

std::vector<json> ApiServer::objects(const std::string& resource) const {
  const Resource& known = resource_named(resource);
  const std::scoped_lock lock(state_->mutex);
  std::vector<json> objects;
  for (const auto& [key, object] : state_->store.objects(known)) {
    objects.push_back(object->value);
  }
  return objects;
}

std::uint64_t ApiServer::resource_version() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->store.revision();
}

void ApiServer::compact() {
  const std::scoped_lock lock(state_->mutex);
  state_->store.compact();
}

void ApiServer::set_permissions(const std::set<std::string>& allowed) {
  const std::scoped_lock lock(state_->mutex);
  state_->permissions = allowed;
}

void ApiServer::set_faults(const Faults& faults) {
  const std::scoped_lock lock(state_->mutex);
  state_->faults = faults;
  state_->connections.refuse(faults.drop_connections || state_->stopping);
  state_->changed.notify_all();
}

void ApiServer::fail_next(int count, int status, int retry_after_seconds, const std::string& request) {
  const std::scoped_lock lock(state_->mutex);
  state_->failing = {.count = count, .status = status, .retry_after_seconds = retry_after_seconds, .request = request};
}

std::size_t ApiServer::close_watches(const std::string& resource, End end) {
  return state_->for_watches(resource, [&](State::Watch& watch) { watch.end = end; });
}

std::size_t ApiServer::send_error_event(const std::string& resource, int code) {
  const std::string status = code == 410 ? too_old(1, resource_version()).dump() : scripted_failure(code, 0).dump();
  return state_->for_watches(resource, [&](State::Watch& watch) {
    watch.pending.push_back(event_line("ERROR", status));
    watch.end = End::kClean;
  });
}

std::size_t ApiServer::send_line(const std::string& line, const std::string& resource) {
  return state_->for_watches(resource, [&](State::Watch& watch) { watch.pending.push_back(line + "\n"); });
}

std::size_t ApiServer::open_watches(const std::string& resource) const {
  return state_->for_watches(resource, [](const State::Watch&) {});
}

std::vector<std::string> ApiServer::requests() const {
  const std::scoped_lock lock(state_->mutex);
  std::vector<std::string> requests;
  for (const auto& [request, target] : state_->log) {
    requests.push_back(request);
  }
  return requests;
}

std::vector<std::string> ApiServer::targets() const {
  const std::scoped_lock lock(state_->mutex);
  std::vector<std::string> targets;
  for (const auto& [request, target] : state_->log) {
    targets.push_back(target);
  }
  return targets;
}

std::size_t ApiServer::count_of(const std::string& request) const {
  const std::vector<std::string> all = requests();
  return static_cast<std::size_t>(std::ranges::count(all, request));
}

void ApiServer::forget_requests() {
  const std::scoped_lock lock(state_->mutex);
  state_->log.clear();
}

std::size_t ApiServer::compressed() const {
  return state_->compressed;
}

std::string kubeconfig(const ApiServer& server, Credential credential, const std::string& ca) {
  const Certificates& certificates = server.certificates();
  std::string text =
      "apiVersion: v1\n"
      "clusters:\n"
      "- cluster:\n"
      "    certificate-authority-data: " +
      base64(ca.empty() ? certificates.ca : ca) +
      "\n"
      "    server: " +
      server.url() +
      "\n"
      "  name: test\n"
      "contexts:\n"
      "- context:\n"
      "    cluster: test\n"
      "    user: hairpind\n"
      "  name: hairpind@test\n"
      "current-context: hairpind@test\n"
      "kind: Config\n"
      "preferences: {}\n"
      "users:\n"
      "- name: hairpind\n"
      "  user:\n";
  if (credential == Credential::kClientCertificate) {
    text += "    client-certificate-data: " + base64(certificates.client.certificate) +
            "\n"
            "    client-key-data: " +
            base64(certificates.client.private_key) + "\n";
  } else {
    text += "    token: " + server.token() + "\n";
  }
  return text;
}

}  // namespace hairpind::testing
