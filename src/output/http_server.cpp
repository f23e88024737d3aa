// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/http_server.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <span>
#include <thread>
#include <tuple>
#include <vector>

#include "certificate_files.hpp"
#include "http_connection.hpp"
#include "listen_socket.hpp"

namespace hairpind {
namespace {

using Time = HttpConnection::Time;
using Stage = HttpConnection::Stage;

// A turn takes in fewer than would push out who came the turn before.
constexpr int kAcceptedATurn = 16;
constexpr std::chrono::milliseconds kNoDescriptors{100};
// To render, and to decipher, is the only work that clients can ask for: each takes a tenth of a core at most, or a
// second's pause.
constexpr int kRest = 9;
constexpr std::chrono::seconds kLongestRest{1};
constexpr std::chrono::seconds kLookAtFiles{1};
constexpr std::size_t kMostConnections =
    HttpServer::kMostAsking + HttpServer::kMostAskingHere + HttpServer::kMostServed;
// Slow readers keep the pages they have begun.
constexpr std::size_t kMostPages = 2;

constexpr const char* kPlain = "text/plain";
constexpr const char* kHtml = "text/html; charset=utf-8";
constexpr const char* kJson = "application/json";
constexpr const char* kMetricsFormat = "text/plain; version=0.0.4; charset=utf-8";

std::string_view reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 413:
      return "Content Too Large";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Bad Request";
  }
}

std::string head_of(int status, const char* type, std::size_t length, std::string_view more = "") {
  return "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason_of(status)) + "\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(length) + "\r\n" + std::string(more) + "Connection: close\r\n\r\n";
}

/// Who asks has the address that it asks at, as loopback has.
bool is_from_this_machine(int socket) {
  sockaddr_storage here{};
  sockaddr_storage there{};
  socklen_t length = sizeof(here);
  socklen_t peer_length = sizeof(there);
  if (getsockname(socket, reinterpret_cast<sockaddr*>(&here), &length) != 0 ||
      getpeername(socket, reinterpret_cast<sockaddr*>(&there), &peer_length) != 0 ||
      here.ss_family != there.ss_family) {
    return false;
  }
  if (here.ss_family == AF_INET) {
    return reinterpret_cast<const sockaddr_in*>(&here)->sin_addr.s_addr ==
           reinterpret_cast<const sockaddr_in*>(&there)->sin_addr.s_addr;
  }
  return here.ss_family == AF_INET6 &&
         std::memcmp(&reinterpret_cast<const sockaddr_in6*>(&here)->sin6_addr,
                     &reinterpret_cast<const sockaddr_in6*>(&there)->sin6_addr, sizeof(in6_addr)) == 0;
}

constexpr const char* kStatusPath = "/v1/status";

struct Listener {
  FileDescriptor socket;  ///< -1: none
  bool probes_only = false;
};

Time after_rest(Time begun, Time done) {
  return done + std::min<Time::duration>(kRest * (done - begun), kLongestRest);
}

/// `option`: what it was chosen by.
Result<FileDescriptor> open_listener(const ListenAddress& address, const std::string& option) {
  auto socket = listen_on(address.first, address.second);
  if (socket) {
    return *std::move(socket);
  }
  const std::string where = "listen on " + (address.first.contains(':') ? "[" + address.first + "]" : address.first) +
                            ":" + std::to_string(address.second);
  return socket.error() == 0
             ? fail(where + ": not an address of this machine; choose another with " + option)
             : fail_errno(where + " (is another hairpind running? choose another address with " + option + ")",
                          socket.error());
}

/// The page of one moment.
struct Page {
  const char* type = nullptr;
  std::string text;
  std::string gzip;  ///< empty until somebody takes it so
};

std::string gzip(const std::string& text) {
  constexpr int kGzip = 16 + MAX_WBITS;
  constexpr int kMemory = 8;  // zlib's default
  z_stream stream{};
  // Text of numbers: more effort hardly makes it smaller.
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzip, kMemory, Z_DEFAULT_STRATEGY) != Z_OK) {
    return "";
  }
  std::string packed(deflateBound(&stream, text.size()), '\0');
  // zlib reads only.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(whole ? stream.total_out : 0);
  packed.shrink_to_fit();
  deflateEnd(&stream);
  return packed;
}

}  // namespace

/// What the thread does. Nothing of it is anybody else's while it runs.
class HttpServer::Service {
 public:
  Service(FileDescriptor pages, FileDescriptor probes, std::optional<CertificateFiles> certificate, Handlers handlers)
      : listeners_{Listener{.socket = std::move(probes), .probes_only = true},
                   Listener{.socket = std::move(pages), .probes_only = false}},
        certificate_(std::move(certificate)),
        handlers_(std::move(handlers)) {
    connections_.reserve(kMostConnections);
  }
  ~Service() {
    eventfd_write(stop_.get(), 1);
    if (thread_.joinable()) {
      thread_.join();
    }
  }
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  void start() {
    thread_ = std::thread([this] { serve(); });
  }
  [[nodiscard]] std::uint16_t port_of_listener(bool probes) const {
    return port_of(listeners_[probes ? 0 : 1].socket.get());
  }

 private:
  void serve() {
    for (;;) {
      const Time begun = now();
      std::array<pollfd, 1 + kListeners + kMostConnections> waited_for{};
      waited_for[0] = {.fd = stop_.get(), .events = POLLIN, .revents = 0};
      const std::span<pollfd> doors = std::span(waited_for).subspan(1, kListeners);
      std::ranges::transform(listeners_, doors.begin(), [&](const Listener& listener) {
        return pollfd{.fd = begun < accept_from_ ? -1 : listener.socket.get(), .events = POLLIN, .revents = 0};
      });
      const std::span<pollfd> clients = std::span(waited_for).subspan(1 + kListeners, connections_.size());
      std::ranges::transform(connections_, clients.begin(), [&](const HttpConnection& connection) {
        const bool waits = connection.stage() == Stage::kFlushing || is_put_off(connection, begun);
        return pollfd{.fd = waits ? -1 : connection.socket(), .events = connection.events(), .revents = 0};
      });
      poll(waited_for.data(), 1 + kListeners + clients.size(), patience(begun));
      if (waited_for[0].revents != 0) {
        return;
      }
      go_on(clients);
      for (std::size_t i = 0; i < kListeners; i++) {
        if (doors[i].revents != 0) {
          accept_some(listeners_[i]);
        }
      }
      hand_out_pages();
      look_at_certificate();
    }
  }

  static Time now() { return std::chrono::steady_clock::now(); }

  /// Milliseconds until something is due; -1: nothing is.
  [[nodiscard]] int patience(Time begun) const {
    std::optional<Time> next;
    const auto by = [&next](Time due) { next = next ? std::min(*next, due) : due; };
    for (const HttpConnection& connection : connections_) {
      by(connection.deadline());
      if (connection.stage() == Stage::kWaiting) {
        by(render_from_);
      }
      if (is_put_off(connection, begun)) {
        by(decipher_from_);
      }
    }
    if (certificate_) {
      by(look_from_);
    }
    if (begun < accept_from_) {
      by(accept_from_);
    }
    if (!next) {
      return -1;
    }
    return static_cast<int>(
        std::max<std::int64_t>(0, std::chrono::ceil<std::chrono::milliseconds>(*next - begun).count()));
  }

  [[nodiscard]] bool is_put_off(const HttpConnection& connection, Time begun) const {
    return connection.is_deciphering() && begun < decipher_from_;
  }

  void go_on(std::span<const pollfd> clients) {
    const Time read_at = now();
    HttpConnection* next = nullptr;
    for (std::size_t i = 0; i < clients.size(); i++) {
      HttpConnection& connection = connections_[i];
      if (clients[i].revents == 0) {
        continue;
      }
      if (!connection.is_deciphering()) {
        go_on(connection, read_at);
      } else if (next == nullptr || comes_before(connection, *next)) {
        next = &connection;
      }
    }
    if (next != nullptr) {
      decipher(*next);
    }
    std::erase_if(connections_, [&](const HttpConnection& connection) {
      return connection.stage() == Stage::kOver || connection.deadline() <= read_at;
    });
    make_room(kMostShaking, [](const HttpConnection& connection) { return connection.is_shaking(); });
    make_room(kMostServed, is_served);
  }

  /// Who is on this machine first, as the kubelet; else who has waited longest, so that each has its turn.
  static bool comes_before(const HttpConnection& one, const HttpConnection& other) {
    return std::tuple(!one.client().is_here, one.idle_since()) <
           std::tuple(!other.client().is_here, other.idle_since());
  }

  /// A piece of one client's, and no more of anybody's before nine times as long has passed.
  void decipher(HttpConnection& connection) {
    const Time begun = now();
    go_on(connection, begun);
    decipher_from_ = after_rest(begun, now());
  }

  void go_on(HttpConnection& connection, Time read_at) {
    const bool asking = connection.stage() == Stage::kAsking;
    connection.go_on(read_at);
    if (asking && connection.stage() == Stage::kWaiting) {
      answer(connection, read_at);
    }
  }

  /// At once, unless it is a page that is asked for.
  void answer(HttpConnection& connection, Time read_at) {
    const HttpRequest& request = connection.request();
    const auto say = [&](int status, std::string_view text, std::string_view more = "", const char* type = kPlain) {
      const std::string body = std::string(text) + "\n";
      connection.answer(head_of(status, type, body.size(), more) + (request.head_only() ? "" : body), nullptr, read_at);
    };
    if (request.refusal() != 0) {
      say(request.refusal(), reason_of(request.refusal()), request.refusal() == 405 ? "Allow: GET, HEAD\r\n" : "");
    } else if (request.path() == "/healthz") {
      const bool healthy = handlers_.healthy();
      say(healthy ? 200 : 503, healthy ? "ok" : "the event loop has stalled");
    } else if (request.path() == "/readyz") {
      const bool ready = handlers_.ready();
      say(ready ? 200 : 503, ready ? "ready" : "not attached yet");
    } else if (connection.client().probes_only) {
      say(404, "/healthz and /readyz are here");
    } else if (request.path() == "/") {
      say(200, handlers_.landing, "", kHtml);
    } else if (request.path() == kStatusPath) {
      if (!connection.client().is_here) {
        say(403, "only who is on this node may ask for it");
      }
    } else if (request.path() != "/metrics") {
      say(404, "/, /metrics, /healthz, /readyz and /v1/status are here");
    }
  }

  void accept_some(const Listener& listener) {
    for (int i = 0; i < kAcceptedATurn; i++) {
      FileDescriptor socket(accept4(listener.socket.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      const int error = errno;
      if (socket.get() < 0) {
        if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
          // The next may come where one of these has gone.
          make_room(0, [](const HttpConnection& connection) { return !is_served(connection); });
          accept_from_ = now() + kNoDescriptors;
        }
        return;
      }
      const HttpClient client{.is_here = is_from_this_machine(socket.get()),
                              .probes_only = listener.probes_only,
                              .certificate = certificate_ && !listener.probes_only ? &*certificate_ : nullptr};
      make_room(kMostAsking - (client.is_here ? 0 : 1), is_asking<false>);
      make_room(kMostAskingHere - (client.is_here ? 1 : 0), is_asking<true>);
      const Time accepted = now();
      HttpConnection& connection = connections_.emplace_back(std::move(socket), client, accepted);
      if (!connection.is_deciphering()) {
        // Most have sent their question by now.
        go_on(connection, accepted);
      }
      make_room(kMostServed, is_served);
    }
  }

  /// To whoever waits, if it is time for a page.
  void hand_out_pages() {
    const Time begun = now();
    const auto waits = [](const HttpConnection& connection) { return connection.stage() == Stage::kWaiting; };
    if (begun < render_from_ || std::ranges::none_of(connections_, waits)) {
      return;
    }
    std::shared_ptr<Page> metrics;
    std::shared_ptr<Page> status;
    for (HttpConnection& connection : connections_) {
      if (!waits(connection)) {
        continue;
      }
      if (connection.request().path() == kStatusPath) {
        status = status ? status : std::make_shared<Page>(Page{.type = kJson, .text = handlers_.status(), .gzip = ""});
        hand_out(connection, status);
      } else {
        metrics = metrics ? metrics : current_page();
        hand_out(connection, metrics);
      }
    }
    render_from_ = after_rest(begun, now());
  }

  void look_at_certificate() {
    const Time begun = now();
    if (!certificate_ || begun < look_from_) {
      return;
    }
    look_from_ = begun + kLookAtFiles;
    const auto read = certificate_->look_again();
    if ((!read || *read || certificate_fails_) && handlers_.certificate) {
      handlers_.certificate(read ? Result<std::string>(certificate_->valid_until()) : std::unexpected(read.error()));
    }
    certificate_fails_ = !read;
  }

  static void hand_out(HttpConnection& connection, const std::shared_ptr<Page>& page) {
    const bool gzipped = connection.request().takes_gzip();
    if (gzipped && page->gzip.empty()) {
      page->gzip = gzip(page->text);
    }
    const bool packed = gzipped && !page->gzip.empty();
    // The whole page lives as long as one of its forms is being sent.
    std::shared_ptr<const std::string> body(page, packed ? &page->gzip : &page->text);
    std::string head =
        head_of(200, page->type, body->size(),
                packed ? "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n" : "Vary: Accept-Encoding\r\n");
    if (connection.request().head_only()) {
      body.reset();
    }
    connection.answer(std::move(head), std::move(body), now());
  }

  /// A new one, unless as many as there may be are being read slowly: then the newest of them again.
  std::shared_ptr<Page> current_page() {
    std::erase_if(pages_, [](const std::weak_ptr<Page>& page) { return page.expired(); });
    if (pages_.size() < kMostPages) {
      auto page = std::make_shared<Page>(Page{.type = kMetricsFormat, .text = handlers_.metrics(), .gzip = ""});
      pages_.emplace_back(page);
      return page;
    }
    return pages_.back().lock();
  }

  static bool is_served(const HttpConnection& connection) {
    return connection.stage() == Stage::kWaiting || connection.had_body();
  }
  template <bool kHere>
  static bool is_asking(const HttpConnection& connection) {
    return !is_served(connection) && connection.client().is_here == kHere;
  }

  /// So that no more than `most` of a kind are left: who has been silent longest goes.
  template <typename Kind>
  void make_room(std::size_t most, Kind kind) {
    while (std::cmp_greater(std::ranges::count_if(connections_, kind), most)) {
      auto silent = std::ranges::find_if(connections_, kind);
      for (auto each = silent; each != connections_.end(); ++each) {
        if (kind(*each) && each->idle_since() < silent->idle_since()) {
          silent = each;
        }
      }
      connections_.erase(silent);
    }
  }

  static constexpr std::size_t kListeners = 2;

  const std::array<Listener, kListeners> listeners_;
  const FileDescriptor stop_{eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)};
  std::optional<CertificateFiles> certificate_;  ///< of the pages' listener
  bool certificate_fails_ = false;
  const Handlers handlers_;
  std::vector<HttpConnection> connections_;
  std::vector<std::weak_ptr<Page>> pages_;  ///< that somebody may still be reading, oldest first
  Time render_from_;
  Time decipher_from_;
  Time accept_from_;
  Time look_from_;
  std::thread thread_;
};

HttpServer::HttpServer(std::unique_ptr<Service> service) : service_(std::move(service)) {}

HttpServer::~HttpServer() = default;

void HttpServer::serve() {
  service_->start();
}

std::uint16_t HttpServer::port() const {
  return service_->port_of_listener(false);
}

std::uint16_t HttpServer::probes_port() const {
  return service_->port_of_listener(true);
}

Result<std::unique_ptr<HttpServer>> HttpServer::listen(const Listeners& listeners, const Handlers& handlers) {
  std::optional<CertificateFiles> certificate;
  if (listeners.tls) {
    auto files = CertificateFiles::open(*listeners.tls);
    if (!files) {
      return std::unexpected(files.error());
    }
    certificate = *std::move(files);
  }
  auto pages = listeners.pages ? open_listener(*listeners.pages, "--listen") : FileDescriptor();
  if (!pages) {
    return std::unexpected(pages.error());
  }
  auto probes = listeners.probes ? open_listener(*listeners.probes, "--health-listen") : FileDescriptor();
  if (!probes) {
    return std::unexpected(probes.error());
  }
  return std::unique_ptr<HttpServer>(new HttpServer(
      std::make_unique<Service>(*std::move(pages), *std::move(probes), std::move(certificate), handlers)));
}

}  // namespace hairpind
