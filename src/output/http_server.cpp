// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/http_server.hpp"

#include <httplib.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <thread>

namespace hairpind {
namespace {

// A silent client holds a thread until its timeout: many threads and a short one, so that a handful of them does not
// delay a probe past its own.
constexpr std::size_t kThreads = 16;
constexpr time_t kTimeoutSeconds = 1;
constexpr std::size_t kRequestBytes = 4096;

void answer_probe(httplib::Response& response, bool good, const char* good_word, const char* bad_word) {
  response.status = good ? 200 : 503;
  response.set_content(std::string(good ? good_word : bad_word) + "\n", "text/plain");
}

}  // namespace

Result<std::pair<std::string, std::uint16_t>> parse_listen_address(std::string_view text) {
  const auto wrong = [&] {
    return fail("listen address '" + std::string(text) +
                "': expected ADDR:PORT or [IPV6]:PORT, such as 127.0.0.1:9477, 0.0.0.0:9477 or [::]:9477; empty "
                "for none");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) {
    return wrong();
  }
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.contains(':')) {
    return wrong();
  }
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (host.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return wrong();
  }
  return std::pair{std::string(host), port};
}

struct HttpServer::Listener {
  httplib::Server server;
  std::uint16_t port = 0;
  std::thread thread;
};

HttpServer::HttpServer(std::unique_ptr<Listener> listener) : listener_(std::move(listener)) {}

HttpServer::~HttpServer() {
  listener_->server.stop();
  listener_->thread.join();
}

std::uint16_t HttpServer::port() const {
  return listener_->port;
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& address, std::uint16_t port,
                                                      const Handlers& handlers) {
  auto listener = std::make_unique<Listener>();
  httplib::Server& server = listener->server;
  server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  // Not the library's SO_REUSEPORT: a second agent on this address must be told so.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  server.set_read_timeout(kTimeoutSeconds);
  server.set_write_timeout(kTimeoutSeconds);
  server.set_keep_alive_timeout(kTimeoutSeconds);
  server.set_payload_max_length(kRequestBytes);
  server.Get("/metrics", [metrics = handlers.metrics](const httplib::Request&, httplib::Response& response) {
    response.set_content(metrics(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server.Get("/healthz", [healthy = handlers.healthy](const httplib::Request&, httplib::Response& response) {
    answer_probe(response, healthy(), "ok", "the event loop has stalled");
  });
  server.Get("/readyz", [ready = handlers.ready](const httplib::Request&, httplib::Response& response) {
    answer_probe(response, ready(), "ready", "not attached yet");
  });
  errno = 0;
  int bound = -1;
  if (port == 0) {
    bound = server.bind_to_any_port(address);
  } else if (server.bind_to_port(address, port)) {
    bound = port;
  }
  if (bound < 0) {
    const std::string where =
        "listen on " + (address.contains(':') ? "[" + address + "]" : address) + ":" + std::to_string(port);
    return errno == 0
               ? fail(where + ": not an address of this machine; choose another with --listen")
               : fail_errno(where + " (is another hairpind running? choose another address with --listen)", errno);
  }
  listener->port = static_cast<std::uint16_t>(bound);
  listener->thread = std::thread([&server] { server.listen_after_bind(); });
  // A stop() before the server runs would be lost.
  while (!server.is_running()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(listener)));
}

}  // namespace hairpind
