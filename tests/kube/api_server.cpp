// SPDX-License-Identifier: Apache-2.0
#include "api_server.hpp"

#include <fcntl.h>
#include <httplib.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

namespace hairpind::testing {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

struct Resource {
  const char* name;
  const char* singular;
  const char* kind;
  const char* short_name;
  bool namespaced;
  /// metadata.name, and metadata.namespace if namespaced, are selectable everywhere.
  std::vector<std::string> selectable;
};

const std::vector<Resource>& resources() {
  static const std::vector<Resource> all = {
      {"pods",
       "pod",
       "Pod",
       "po",
       true,
       {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
        "status.phase", "status.podIP", "status.nominatedNodeName"}},
      {"services", "service", "Service", "svc", true, {"spec.clusterIP", "spec.type"}},
      {"nodes", "node", "Node", "no", false, {"spec.unschedulable"}},
      {"namespaces", "namespace", "Namespace", "ns", false, {"status.phase"}},
  };
  return all;
}

const Resource* find_resource(const std::string& name) {
  const auto found = std::ranges::find_if(resources(), [&](const Resource& each) { return name == each.name; });
  return found == resources().end() ? nullptr : &*found;
}

/// Without kind and apiVersion: lists leave them out, everything else puts them first.
struct Object {
  json value;
  std::string text;
};
using ObjectPtr = std::shared_ptr<const Object>;

ObjectPtr make_object(json value) {
  std::string text = value.dump();
  return std::make_shared<const Object>(Object{.value = std::move(value), .text = std::move(text)});
}

std::string with_kind(const Resource& resource, const std::string& text) {
  return R"({"kind":")" + std::string(resource.kind) + R"(","apiVersion":"v1",)" + text.substr(1);
}

/// One step of the history. No `after`: deleted.
struct Event {
  std::uint64_t revision;
  const Resource* resource;
  std::string key;
  ObjectPtr before;
  ObjectPtr after;
};

std::string field_text(const json& object, const std::string& path) {
  std::string pointer = "/" + path;
  std::ranges::replace(pointer, '.', '/');
  const json value = object.value(json::json_pointer(pointer), json());
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_boolean()) {
    return value.get<bool>() ? "true" : "false";
  }
  return path == "spec.unschedulable" || path == "spec.hostNetwork" ? "false" : "";
}

/// Which objects of a resource a list or a watch is about.
struct Scope {
  struct Term {
    std::string path;
    std::string value;
    bool equal;
  };
  const Resource* resource = nullptr;
  std::string name_space;  ///< empty: all
  std::vector<Term> terms;

  [[nodiscard]] bool contains(const ObjectPtr& object) const {
    return object && (name_space.empty() || field_text(object->value, "metadata.namespace") == name_space) &&
           std::ranges::all_of(terms, [&](const Term& term) {
             return (field_text(object->value, term.path) == term.value) == term.equal;
           });
  }
};

std::string event_line(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

/// What a watch of this scope is told; empty if nothing. An object that leaves the scope is deleted to it.
std::string watch_line(const Scope& scope, const Event& event) {
  if (event.resource != scope.resource) {
    return "";
  }
  const bool was = scope.contains(event.before);
  const bool is = scope.contains(event.after);
  if (is) {
    return event_line(was ? "MODIFIED" : "ADDED", with_kind(*scope.resource, event.after->text));
  }
  if (!was) {
    return "";
  }
  // The object as it last was, with the version of its end: a client resumes from there.
  json last = event.before->value;
  last["metadata"]["resourceVersion"] = std::to_string(event.revision);
  return event_line("DELETED", with_kind(*scope.resource, last.dump()));
}

std::string bookmark_line(const Resource& resource, std::uint64_t revision) {
  json object = {{"metadata", {{"creationTimestamp", nullptr}, {"resourceVersion", std::to_string(revision)}}}};
  // What Go makes of an otherwise empty object.
  if (std::string(resource.name) == "pods") {
    object["spec"] = {{"containers", nullptr}};
  } else {
    object["spec"] = json::object();
  }
  object["status"] = json::object();
  return event_line("BOOKMARK", with_kind(resource, object.dump()));
}

std::string base64(const std::string& data) {
  std::string text(4 * ((data.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(data.data()), static_cast<int>(data.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

/// Where a list goes on. revision -1: in the present state, whatever it was when the list began.
struct Continue {
  std::int64_t revision = 0;
  std::string start;  ///< the last key of the page before
};

std::string encode(const Continue& next) {
  std::string text = base64(ordered_json{{"v", "meta.k8s.io/v1"}, {"rv", next.revision}, {"start", next.start}}.dump());
  std::ranges::replace(text, '+', '-');
  std::ranges::replace(text, '/', '_');
  text.erase(text.find_last_not_of('=') + 1);
  return text;
}

std::optional<Continue> decode(std::string token) {
  std::ranges::replace(token, '-', '+');
  std::ranges::replace(token, '_', '/');
  const std::size_t padding = (4 - token.size() % 4) % 4;
  token.append(padding, '=');
  std::string text(token.size(), '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(token.data()), static_cast<int>(token.size()));
  if (length < static_cast<int>(padding)) {
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(length) - padding);
  const json value = json::parse(text, nullptr, false);
  if (!value.is_object() || !value.contains("rv") || !value["rv"].is_number_integer()) {
    return std::nullopt;
  }
  return Continue{.revision = value["rv"].get<std::int64_t>(), .start = value.value("start", "")};
}

std::optional<std::uint64_t> number(const std::string& text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

// --- metav1.Status, in the real server's words ---

ordered_json failure(int code, const std::string& reason, const std::string& message,
                     const ordered_json& details = nullptr) {
  ordered_json status = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", ordered_json::object()},
                         {"status", "Failure"}, {"message", message}, {"reason", reason}};
  if (!details.is_null()) {
    status["details"] = details;
  }
  status["code"] = code;
  return status;
}

ordered_json unauthorized() {
  return failure(401, "Unauthorized", "Unauthorized");
}

ordered_json bad_request(const std::string& message) {
  return failure(400, "BadRequest", message);
}

ordered_json no_such_resource() {
  return failure(404, "NotFound", "the server could not find the requested resource", ordered_json::object());
}

ordered_json not_found(const std::string& resource, const std::string& name) {
  return failure(404, "NotFound", resource + " \"" + name + "\" not found", {{"name", name}, {"kind", resource}});
}

ordered_json too_old(std::uint64_t asked, std::uint64_t oldest) {
  return failure(410, "Expired",
                 "too old resource version: " + std::to_string(asked) + " (" + std::to_string(oldest) + ")");
}

ordered_json scripted_failure(int code, int retry_after_seconds) {
  static const std::map<int, std::pair<std::string, std::string>> known = {
      {401, {"Unauthorized", "Unauthorized"}},
      {403, {"Forbidden", "forbidden"}},
      {404, {"NotFound", "the server could not find the requested resource"}},
      {410, {"Expired", "The provided resource version is too old"}},
      {429, {"TooManyRequests", "Too many requests, please try again later."}},
      {500, {"InternalError", "Internal error occurred: etcdserver: request timed out"}},
      {503, {"ServiceUnavailable", "the server is currently unable to handle the request"}},
      {504, {"Timeout", "the server was unable to return a response in the time allotted"}},
  };
  const auto found = known.find(code);
  ordered_json details;
  if (retry_after_seconds > 0) {
    details = {{"retryAfterSeconds", retry_after_seconds}};
  }
  return found == known.end() ? failure(code, "Unknown", "scripted failure", details)
                              : failure(code, found->second.first, found->second.second, details);
}

// --- discovery ---

std::string discovery(const std::string& path, const std::string& address) {
  static const ordered_json kAuthorization = {
      {"name", "authorization.k8s.io"},
      {"versions", {{{"groupVersion", "authorization.k8s.io/v1"}, {"version", "v1"}}}},
      {"preferredVersion", {{"groupVersion", "authorization.k8s.io/v1"}, {"version", "v1"}}}};
  if (path == "/api") {
    return ordered_json{{"kind", "APIVersions"},
                        {"versions", {"v1"}},
                        {"serverAddressByClientCIDRs", {{{"clientCIDR", "0.0.0.0/0"}, {"serverAddress", address}}}}}
        .dump();
  }
  if (path == "/apis") {
    return ordered_json{{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", {kAuthorization}}}.dump();
  }
  if (path == "/apis/authorization.k8s.io") {
    ordered_json group = {{"kind", "APIGroup"}, {"apiVersion", "v1"}};
    group.update(kAuthorization);
    return group.dump();
  }
  if (path == "/apis/authorization.k8s.io/v1") {
    return ordered_json{{"kind", "APIResourceList"},
                        {"apiVersion", "v1"},
                        {"groupVersion", "authorization.k8s.io/v1"},
                        {"resources",
                         {{{"name", "selfsubjectaccessreviews"},
                           {"singularName", "selfsubjectaccessreview"},
                           {"namespaced", false},
                           {"kind", "SelfSubjectAccessReview"},
                           {"verbs", {"create"}}}}}}
        .dump();
  }
  if (path == "/api/v1") {
    ordered_json list = {{"kind", "APIResourceList"}, {"groupVersion", "v1"}, {"resources", ordered_json::array()}};
    for (const Resource& resource : resources()) {
      list["resources"].push_back({{"name", resource.name},
                                   {"singularName", resource.singular},
                                   {"namespaced", resource.namespaced},
                                   {"kind", resource.kind},
                                   {"verbs", {"get", "list", "watch"}},
                                   {"shortNames", {resource.short_name}}});
    }
    return list.dump();
  }
  if (path == "/version") {
    return ordered_json{{"major", "1"},
                        {"minor", "32"},
                        {"gitVersion", "v1.32.0"},
                        {"gitCommit", "70d3cc986aa8221cd1dfb1121852688902d3bf53"},
                        {"gitTreeState", "clean"},
                        {"buildDate", "2024-12-11T17:59:15Z"},
                        {"goVersion", "go1.23.3"},
                        {"compiler", "gc"},
                        {"platform", "linux/amd64"}}
        .dump();
  }
  return "";
}

/// What RBAC makes of a request (k8s.io/apiserver, RequestInfo).
struct Target {
  std::string verb;
  std::string group;
  std::string resource;  ///< with "/subresource" if there is one; empty: a request for no resource
  std::string name_space;
  std::string name;

  /// "list pods", as in permissions and in the log.
  [[nodiscard]] std::string text() const { return verb + " " + resource + (group.empty() ? "" : "." + group); }
};

Target parse_target(const httplib::Request& request) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (start < request.path.size()) {
    const std::size_t end = std::min(request.path.find('/', start), request.path.size());
    if (end > start) {
      parts.push_back(request.path.substr(start, end - start));
    }
    start = end + 1;
  }
  Target target;
  std::size_t at = 0;
  if (parts.size() > 2 && parts[0] == "api") {
    at = 2;
  } else if (parts.size() > 3 && parts[0] == "apis") {
    target.group = parts[1];
    at = 3;
  } else {
    return target;
  }
  if (parts[at] == "namespaces" && parts.size() > at + 1) {
    target.name_space = parts[at + 1];
    if (parts.size() > at + 2) {
      at += 2;
    }
  }
  target.resource = parts[at];
  if (parts.size() > at + 1) {
    target.name = parts[at + 1];
  }
  if (parts.size() > at + 2) {
    target.resource += "/" + parts[at + 2];
  }
  const std::string watch = request.get_param_value("watch");
  if (request.method == "POST") {
    target.verb = "create";
  } else if (request.method == "PUT") {
    target.verb = "update";
  } else if (request.method == "PATCH") {
    target.verb = "patch";
  } else if (request.method == "DELETE") {
    target.verb = target.name.empty() ? "deletecollection" : "delete";
  } else if (!target.name.empty()) {
    target.verb = "get";
  } else {
    target.verb = watch == "1" || watch == "true" ? "watch" : "list";
  }
  return target;
}

ordered_json forbidden(const std::string& user, const Target& target, const std::string& selected_name) {
  const std::string& name = target.name.empty() ? selected_name : target.name;
  std::string message = target.resource + (target.group.empty() ? "" : "." + target.group);
  ordered_json details = ordered_json::object();
  if (!name.empty()) {
    message += " \"" + name + "\"";
    details["name"] = name;
  }
  if (!target.group.empty()) {
    details["group"] = target.group;
  }
  details["kind"] = target.resource;
  message += " is forbidden: User \"" + user + "\" cannot " + target.verb + " resource \"" + target.resource +
             "\" in API group \"" + target.group + "\" ";
  message += target.name_space.empty() ? "at the cluster scope" : "in the namespace \"" + target.name_space + "\"";
  return failure(403, "Forbidden", message, details);
}

/// False with `error` set where the real server refuses it.
bool parse_field_selector(const std::string& text, Scope& scope, std::string& error) {
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(',', start), text.size());
    const std::string term = text.substr(start, end - start);
    start = end + 1;
    if (term.empty()) {
      continue;
    }
    const std::size_t equals = term.find('=');
    if (equals == std::string::npos) {
      error = "invalid selector: '";
      error.append(text).append("'; can't understand '").append(term).append("'");
      return false;
    }
    const bool equal = equals == 0 || term[equals - 1] != '!';
    const std::string path = term.substr(0, equal ? equals : equals - 1);
    const std::size_t value = term.compare(equals, 2, "==") == 0 ? equals + 2 : equals + 1;
    const std::vector<std::string>& selectable = scope.resource->selectable;
    if (path != "metadata.name" && (path != "metadata.namespace" || !scope.resource->namespaced) &&
        std::ranges::find(selectable, path) == selectable.end()) {
      error = "field label not supported: " + path;
      return false;
    }
    scope.terms.push_back({.path = path, .value = term.substr(value), .equal = equal});
  }
  return true;
}

std::string selected_name(const httplib::Request& request) {
  Scope scope{.resource = &resources().front(), .name_space = "", .terms = {}};
  std::string error;
  parse_field_selector(request.get_param_value("fieldSelector"), scope, error);
  const auto found = std::ranges::find_if(
      scope.terms, [](const Scope::Term& term) { return term.path == "metadata.name" && term.equal; });
  return found == scope.terms.end() ? "" : found->value;
}

void respond(const httplib::Request& request, httplib::Response& response, int status, const std::string& body) {
  // The real server compresses with gzip, and only what is larger than this; httplib would compress everything, and
  // with the client's brotli first. httplib itself owns the request and made it mutable.
  constexpr std::size_t kLeastCompressed = 128UL * 1024;
  const bool gzip = request.get_header_value("Accept-Encoding").find("gzip") != std::string::npos;
  auto& headers = const_cast<httplib::Request&>(request).headers;
  headers.erase("Accept-Encoding");
  if (gzip && body.size() > kLeastCompressed) {
    headers.emplace("Accept-Encoding", "gzip");
  }
  response.status = status;
  response.set_content(body + "\n", "application/json");
}

void respond(const httplib::Request& request, httplib::Response& response, const ordered_json& status) {
  respond(request, response, status["code"].get<int>(), status.dump());
}

bool peer_gone(int fd) {
  pollfd state{.fd = fd, .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) > 0;
}

/// A length-delimited field of a protobuf message; "" if it has none or is malformed.
std::string_view protobuf_field(std::string_view message, std::uint64_t wanted) {
  const auto varint = [&message] {
    std::uint64_t value = 0;
    for (unsigned shift = 0; !message.empty() && shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.front());
      message.remove_prefix(1);
      value |= std::uint64_t{byte & 0x7fU} << shift;
      if (byte < 0x80) {
        break;
      }
    }
    return value;
  };
  while (!message.empty()) {
    const std::uint64_t tag = varint();
    if ((tag & 7) == 0) {
      varint();
      continue;
    }
    const std::uint64_t length = varint();
    if ((tag & 7) != 2 || length > message.size()) {
      return {};
    }
    if (tag >> 3 == wanted) {
      return message.substr(0, length);
    }
    message.remove_prefix(length);
  }
  return {};
}

/// The one object that clients send. kubectl does it in protobuf since 1.32, and takes JSON for an answer (field
/// numbers: k8s.io/api authorization/v1 and apimachinery's runtime.Unknown, generated.proto).
json parse_access_review(const std::string& body) {
  constexpr std::string_view kProtobuf("k8s\0", 4);
  if (!body.starts_with(kProtobuf)) {
    return json::parse(body, nullptr, false);
  }
  const std::string_view review = protobuf_field(std::string_view(body).substr(kProtobuf.size()), 2);
  const std::string_view attributes = protobuf_field(protobuf_field(review, 2), 1);
  json named = json::object();
  const std::vector<std::string> names = {"namespace", "verb", "group", "version", "resource", "subresource", "name"};
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (const std::string_view value = protobuf_field(attributes, i + 1); !value.empty()) {
      named[names[i]] = value;
    }
  }
  return {{"metadata", json::object()}, {"spec", {{"resourceAttributes", named}}}};
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

}  // namespace

struct ApiServer::State {
  struct Watch {
    Scope scope;
    std::deque<std::string> pending;  ///< each event is put here as it happens: compact() takes nothing from it
    bool bookmarks = false;
    Clock::time_point next_bookmark;
    std::optional<Clock::time_point> deadline;
    std::optional<End> end;  ///< a clean one after what is pending
    std::minstd_rand cuts;
  };
  using WatchPtr = std::shared_ptr<Watch>;

  struct FailNext {
    int count = 0;
    int status = 0;
    int retry_after_seconds = 0;
    std::string request;
  };

  /// Kept with each server side TLS session, from its first step to its end.
  struct Connection {
    State* state;
    int fd;
  };

  explicit State(ApiServerOptions given)
      : options(std::move(given)), server([this](SSL_CTX& tls) { return set_up(tls); }) {}

  bool set_up(SSL_CTX& tls);
  static int connection_index();
  static void on_tls_state(const SSL* session, int where, int /*result*/);
  void start();
  void stop();

  void handle(const httplib::Request& request, httplib::Response& response);
  [[nodiscard]] std::optional<std::string> user_of(const httplib::Request& request) const;
  [[nodiscard]] bool is_allowed(const std::string& request) const {
    return !permissions || permissions->contains(request);
  }
  void review_access(const httplib::Request& request, httplib::Response& response) const;
  void get(const httplib::Request& request, httplib::Response& response, const Target& target);
  void list(const httplib::Request& request, httplib::Response& response, const Scope& scope) const;
  void watch(const httplib::Request& request, httplib::Response& response, const Scope& scope);
  bool send(Watch& watch, int fd, httplib::DataSink& sink);

  void record(Event event);
  [[nodiscard]] std::map<std::string, ObjectPtr> objects_at(const Resource& resource, std::uint64_t at) const;
  template <typename Action>
  std::size_t for_watches(const std::string& resource, Action action);

  ApiServerOptions options;
  mutable std::mutex mutex;
  std::condition_variable changed;  ///< anything below that a watch or a stalled request waits for
  std::map<const Resource*, std::map<std::string, ObjectPtr>> objects;  ///< by "namespace/name" or "name"
  std::uint64_t revision = 1;
  std::uint64_t uids = 0;
  std::uint64_t compacted = 1;  ///< the oldest revision that history leads back to
  std::deque<Event> history;
  std::optional<std::set<std::string>> permissions;
  Faults faults;
  FailNext failing;
  std::vector<std::pair<std::string, std::string>> log;  ///< request, target
  std::set<WatchPtr> watches;
  std::set<Connection*> connections;
  bool stopping = false;

  httplib::SSLServer server;  ///< last of what requests use, but for the thread
  std::thread thread;
  std::uint16_t port = 0;
};

// --- connections ---

int ApiServer::State::connection_index() {
  // The callback is for every TLS session of the process, with null for those that are not ours. It comes before the
  // socket is closed, so no socket in `connections` is ever somebody else's.
  static const int index =
      SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, [](void*, void* data, CRYPTO_EX_DATA*, int, long, void*) {
        const std::unique_ptr<Connection> ended(static_cast<Connection*>(data));
        if (ended) {
          const std::scoped_lock lock(ended->state->mutex);
          ended->state->connections.erase(ended.get());
        }
      });
  return index;
}

void ApiServer::State::on_tls_state(const SSL* session, int where, int /*result*/) {
  if (where != SSL_CB_HANDSHAKE_START || SSL_get_ex_data(session, connection_index()) != nullptr) {
    return;
  }
  auto* state = static_cast<State*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(session), 0));
  auto connection = std::make_unique<Connection>(Connection{.state = state, .fd = SSL_get_fd(session)});
  // A child of the test must not hold it open.
  fcntl(connection->fd, F_SETFD, FD_CLOEXEC);
  const std::scoped_lock lock(state->mutex);
  if (state->stopping || state->faults.drop_connections) {
    shutdown(connection->fd, SHUT_RDWR);
  }
  // The callback's const is a mere formality: the caller is httplib with a session of its own.
  SSL_set_ex_data(const_cast<SSL*>(session), connection_index(), connection.get());
  state->connections.insert(connection.release());
}

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
  SSL_CTX_set_min_proto_version(&tls, TLS1_2_VERSION);
  // As the real server: a client certificate is asked for, none or a bad one ends no handshake but may be a 401.
  SSL_CTX_set_verify(&tls, SSL_VERIFY_PEER, [](int, X509_STORE_CTX*) { return 1; });
  static constexpr unsigned char kSessionContext[] = "kube";
  SSL_CTX_set_session_id_context(&tls, kSessionContext, sizeof(kSessionContext));
  SSL_CTX_set_ex_data(&tls, 0, this);
  SSL_CTX_set_info_callback(&tls, on_tls_state);
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
    for (const Connection* connection : connections) {
      shutdown(connection->fd, SHUT_RDWR);
    }
  }
  changed.notify_all();
  server.stop();
  thread.join();
}

// --- requests ---

std::optional<std::string> ApiServer::State::user_of(const httplib::Request& request) const {
  const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(request.ssl), X509_free);
  if (certificate && SSL_get_verify_result(request.ssl) == X509_V_OK) {
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()), NID_commonName, name, sizeof(name));
    return name;
  }
  if (request.get_header_value("Authorization") == "Bearer " + options.token) {
    return options.user;
  }
  return std::nullopt;
}

void ApiServer::State::handle(const httplib::Request& request, httplib::Response& response) {
  const int fd = SSL_get_fd(request.ssl);
  std::unique_lock lock(mutex);
  if (faults.drop_connections) {
    shutdown(fd, SHUT_RDWR);
    response.status = 500;  // goes nowhere
    return;
  }
  const Target target = parse_target(request);
  if (!target.resource.empty()) {
    log.emplace_back(target.text(), request.target);
  }
  while (faults.stall_requests && !stopping && !peer_gone(fd)) {
    changed.wait_for(lock, std::chrono::milliseconds(100));
  }
  const std::optional<std::string> user = user_of(request);
  if (!user || faults.token_rejected) {
    respond(request, response, unauthorized());
    return;
  }
  if (target.resource.empty()) {
    if (request.path == "/healthz" || request.path == "/livez" || request.path == "/readyz") {
      response.set_content("ok", "text/plain; charset=utf-8");
      return;
    }
    const std::string body = discovery(request.path, options.host + ":" + std::to_string(port));
    if (body.empty()) {
      response.status = 404;
      response.set_content("404 page not found\n", "text/plain; charset=utf-8");
    } else {
      respond(request, response, 200, body);
    }
    return;
  }
  if (failing.count > 0 && (failing.request.empty() || failing.request == target.text())) {
    failing.count--;
    if (failing.retry_after_seconds > 0) {
      response.set_header("Retry-After", std::to_string(failing.retry_after_seconds));
    }
    respond(request, response, scripted_failure(failing.status, failing.retry_after_seconds));
    return;
  }
  if (target.text() == "create selfsubjectaccessreviews.authorization.k8s.io") {
    review_access(request, response);  // everybody may
    return;
  }
  if (!is_allowed(target.text())) {
    respond(request, response, forbidden(*user, target, selected_name(request)));
    return;
  }
  Scope scope{.resource = target.group.empty() ? find_resource(target.resource) : nullptr,
              .name_space = target.name_space,
              .terms = {}};
  if (scope.resource == nullptr) {
    respond(request, response, no_such_resource());
    return;
  }
  if (target.verb == "get") {
    get(request, response, target);
    return;
  }
  if (target.verb != "list" && target.verb != "watch") {
    respond(request, response,
            failure(405, "MethodNotAllowed", "the server does not allow this method on the requested resource",
                    ordered_json::object()));
    return;
  }
  std::string error;
  if (!parse_field_selector(request.get_param_value("fieldSelector"), scope, error)) {
    respond(request, response, bad_request(error));
  } else if (target.verb == "watch") {
    watch(request, response, scope);
  } else {
    list(request, response, scope);
  }
}

void ApiServer::State::review_access(const httplib::Request& request, httplib::Response& response) const {
  json review = parse_access_review(request.body);
  if (!review.is_object() || !review["spec"].is_object()) {
    respond(request, response, bad_request("the request body is no SelfSubjectAccessReview"));
    return;
  }
  const json attributes = review["spec"].value("resourceAttributes", json::object());
  std::string resource = attributes.value("resource", "");
  if (const std::string subresource = attributes.value("subresource", ""); !subresource.empty()) {
    resource += "/" + subresource;
  }
  if (const std::string group = attributes.value("group", ""); !group.empty()) {
    resource += "." + group;
  }
  review["kind"] = "SelfSubjectAccessReview";
  review["apiVersion"] = "authorization.k8s.io/v1";
  review["status"] = {{"allowed", is_allowed(attributes.value("verb", "") + " " + resource)}};
  respond(request, response, 201, review.dump());
}

void ApiServer::State::get(const httplib::Request& request, httplib::Response& response, const Target& target) {
  const Resource* resource = find_resource(target.resource);
  const auto& all = objects[resource];
  const auto found = all.find(resource->namespaced ? target.name_space + "/" + target.name : target.name);
  if (found == all.end()) {
    respond(request, response, not_found(target.resource, target.name));
  } else {
    respond(request, response, 200, with_kind(*resource, found->second->text));
  }
}

std::map<std::string, ObjectPtr> ApiServer::State::objects_at(const Resource& resource, std::uint64_t at) const {
  const auto found = objects.find(&resource);
  std::map<std::string, ObjectPtr> then = found == objects.end() ? std::map<std::string, ObjectPtr>() : found->second;
  for (auto event = history.rbegin(); event != history.rend() && event->revision > at; ++event) {
    if (event->resource != &resource) {
      continue;
    }
    if (event->before) {
      then[event->key] = event->before;
    } else {
      then.erase(event->key);
    }
  }
  return then;
}

void ApiServer::State::list(const httplib::Request& request, httplib::Response& response, const Scope& scope) const {
  const std::string token = request.get_param_value("continue");
  const std::string asked_version = request.get_param_value("resourceVersion");
  const std::optional<std::uint64_t> asked = asked_version.empty() ? 0 : number(asked_version);
  const std::optional<std::uint64_t> limit =
      request.get_param_value("limit").empty() ? 0 : number(request.get_param_value("limit"));
  if (!asked || !limit) {
    respond(request, response, bad_request("resourceVersion or limit: Invalid value"));
    return;
  }
  std::uint64_t at = revision;
  Continue from;
  if (!token.empty()) {
    const std::optional<Continue> decoded = decode(token);
    if (!decoded) {
      respond(request, response, bad_request("continue key is not valid: " + token));
      return;
    }
    if (!asked_version.empty() && asked_version != "0") {
      respond(request, response, bad_request("specifying resource version is not allowed when using continue"));
      return;
    }
    from = *decoded;
    if (from.revision >= 0) {
      at = static_cast<std::uint64_t>(from.revision);
    }
    if (at < compacted) {
      ordered_json status = failure(
          410, "Expired",
          "The provided continue parameter is too old to display a consistent list result. You can start a new list "
          "without the continue parameter, or use the continue token in this response to retrieve the remainder of the "
          "results. Continuing with the provided token results in an inconsistent list - objects that were created, "
          "modified, or deleted between the time the first chunk was returned and now may show up in the list.");
      status["metadata"]["continue"] = encode({.revision = -1, .start = from.start});
      respond(request, response, status);
      return;
    }
  } else if (*asked > revision) {
    respond(request, response,
            failure(504, "Timeout",
                    "Too large resource version: " + std::to_string(*asked) + ", current: " + std::to_string(revision),
                    {{"causes", {{{"reason", "ResourceVersionTooLarge"}, {"message", "Too large resource version"}}}},
                     {"retryAfterSeconds", 1}}));
    return;
  } else if (request.get_param_value("resourceVersionMatch") == "Exact") {
    at = *asked;
    if (at < compacted) {
      respond(request, response, too_old(at, compacted));
      return;
    }
  }
  // Version 0 is answered from the watch cache, which has no pages.
  std::size_t page_size = asked_version == "0" && token.empty() ? 0 : *limit;
  if (faults.page_size > 0) {
    page_size = page_size == 0 ? faults.page_size : std::min(page_size, faults.page_size);
  }

  const std::map<std::string, ObjectPtr> all = objects_at(*scope.resource, at);
  std::vector<std::pair<std::string, ObjectPtr>> matching;
  for (auto each = token.empty() ? all.begin() : all.upper_bound(from.start); each != all.end(); ++each) {
    if (scope.contains(each->second)) {
      matching.emplace_back(*each);
    }
  }
  const std::size_t count = page_size == 0 ? matching.size() : std::min(page_size, matching.size());
  ordered_json metadata = {{"resourceVersion", std::to_string(at)}};
  if (count < matching.size()) {
    metadata["continue"] = encode({.revision = static_cast<std::int64_t>(at), .start = matching[count - 1].first});
    if (scope.terms.empty()) {
      metadata["remainingItemCount"] = matching.size() - count;
    }
  }
  std::string body = R"({"kind":")" + std::string(scope.resource->kind) + R"(List","apiVersion":"v1","metadata":)" +
                     metadata.dump() + R"(,"items":[)";
  for (std::size_t i = 0; i < count; ++i) {
    body += (i == 0 ? "" : ",") + matching[i].second->text;
  }
  respond(request, response, 200, body + "]}");
}

// --- watches ---

void ApiServer::State::watch(const httplib::Request& request, httplib::Response& response, const Scope& scope) {
  const std::string version = request.get_param_value("resourceVersion");
  const std::optional<std::uint64_t> since = version.empty() ? 0 : number(version);
  const std::optional<std::uint64_t> timeout = number(request.get_param_value("timeoutSeconds"));
  if (!since) {
    respond(request, response, bad_request("resourceVersion: Invalid value: \"" + version + "\""));
    return;
  }
  const auto watch = std::make_shared<Watch>();
  watch->scope = scope;
  const std::string bookmarks = request.get_param_value("allowWatchBookmarks");
  watch->bookmarks = bookmarks == "1" || bookmarks == "true";
  watch->next_bookmark = Clock::now() + options.bookmark_interval;
  if (timeout && *timeout > 0) {
    watch->deadline = Clock::now() + std::chrono::seconds(*timeout);
  }
  if (*since == 0) {
    for (const auto& [key, object] : objects[scope.resource]) {
      if (scope.contains(object)) {
        watch->pending.push_back(event_line("ADDED", with_kind(*scope.resource, object->text)));
      }
    }
  } else if (*since < compacted) {
    watch->pending.push_back(event_line("ERROR", too_old(*since, compacted).dump()));
    watch->end = End::kClean;
  } else {
    for (const Event& event : history) {
      if (event.revision <= *since) {
        continue;
      }
      if (std::string line = watch_line(scope, event); !line.empty()) {
        watch->pending.push_back(std::move(line));
      }
    }
  }
  watches.insert(watch);
  // Compressed, events would stay in the compressor. As in respond().
  const_cast<httplib::Request&>(request).headers.erase("Accept-Encoding");
  response.status = 200;
  response.set_chunked_content_provider(
      "application/json",
      [this, watch, fd = SSL_get_fd(request.ssl)](std::size_t, httplib::DataSink& sink) {
        return send(*watch, fd, sink);
      },
      [this, watch](bool) {
        const std::scoped_lock lock(mutex);
        watches.erase(watch);
      });
}

/// One turn of an open watch; false ends its connection. It has to come back now and then: nobody else notices that
/// the client is gone.
bool ApiServer::State::send(Watch& watch, int fd, httplib::DataSink& sink) {
  std::unique_lock lock(mutex);
  const auto is_awake = [&] {
    return stopping || watch.end == End::kBroken || (!faults.stall_watches && (watch.end || !watch.pending.empty()));
  };
  Clock::time_point until = Clock::now() + std::chrono::milliseconds(100);
  if (!faults.stall_watches) {
    until = std::min(until, watch.deadline.value_or(until));
    until = watch.bookmarks ? std::min(until, watch.next_bookmark) : until;
  }
  changed.wait_until(lock, until, is_awake);
  if (stopping || watch.end == End::kBroken || peer_gone(fd)) {
    // Before httplib says goodbye in TLS: a broken connection does not.
    shutdown(fd, SHUT_RDWR);
    return false;
  }
  if (faults.stall_watches) {
    return true;
  }
  const bool timed_out = watch.deadline && Clock::now() >= *watch.deadline;
  if (watch.bookmarks && !watch.end && (timed_out || Clock::now() >= watch.next_bookmark)) {
    watch.pending.push_back(bookmark_line(*watch.scope.resource, revision));
    watch.next_bookmark = Clock::now() + options.bookmark_interval;
  }
  if (timed_out) {
    watch.end = End::kClean;
  }
  const std::deque<std::string> lines = std::exchange(watch.pending, {});
  const bool ends = watch.end.has_value();
  const bool cut = faults.cut_watch_lines;
  lock.unlock();

  for (const std::string& line : lines) {
    std::size_t sent = 0;
    while (sent < line.size()) {
      const std::size_t size = cut ? std::min<std::size_t>(1 + watch.cuts() % 24, line.size() - sent) : line.size();
      if (!sink.write(line.data() + sent, size)) {
        return false;
      }
      sent += size;
    }
  }
  if (ends) {
    sink.done();
  }
  return true;
}

void ApiServer::State::record(Event event) {
  for (const WatchPtr& watch : watches) {
    if (watch->end) {
      continue;
    }
    if (std::string line = watch_line(watch->scope, event); !line.empty()) {
      watch->pending.push_back(std::move(line));
    }
  }
  history.push_back(std::move(event));
  changed.notify_all();
}

template <typename Action>
std::size_t ApiServer::State::for_watches(const std::string& resource, Action action) {
  const std::scoped_lock lock(mutex);
  std::size_t count = 0;
  for (const WatchPtr& watch : watches) {
    if (!watch->end && (resource.empty() || resource == watch->scope.resource->name)) {
      action(*watch);
      count++;
    }
  }
  changed.notify_all();
  return count;
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
  const Resource* known = find_resource(resource);
  if (known == nullptr) {
    throw std::invalid_argument("API server: no resource " + resource);
  }
  object.erase("kind");
  object.erase("apiVersion");
  json& metadata = object["metadata"];
  std::string key = metadata.at("name").get<std::string>();
  if (known->namespaced) {
    if (!metadata.contains("namespace")) {
      metadata["namespace"] = "default";
    }
    key = metadata["namespace"].get<std::string>() + "/" + key;
  }
  const std::scoped_lock lock(state_->mutex);
  ObjectPtr& current = state_->objects[known][key];
  if (!metadata.contains("uid")) {
    char uid[40];
    std::snprintf(uid, sizeof(uid), "00000000-0000-4000-8000-%012llx", static_cast<unsigned long long>(++state_->uids));
    metadata["uid"] = current ? current->value["metadata"]["uid"] : json(uid);
  }
  if (!metadata.contains("creationTimestamp")) {
    metadata["creationTimestamp"] = current ? current->value["metadata"]["creationTimestamp"] : json(now_text());
  }
  const std::uint64_t revision = ++state_->revision;
  metadata["resourceVersion"] = std::to_string(revision);
  const ObjectPtr before = std::exchange(current, make_object(std::move(object)));
  state_->record({.revision = revision, .resource = known, .key = key, .before = before, .after = current});
  return revision;
}

bool ApiServer::remove(const std::string& resource, const std::string& name_space, const std::string& name) {
  const Resource* known = find_resource(resource);
  if (known == nullptr) {
    throw std::invalid_argument("API server: no resource " + resource);
  }
  const std::string key = known->namespaced ? name_space + "/" + name : name;
  const std::scoped_lock lock(state_->mutex);
  auto removed = state_->objects[known].extract(key);
  if (removed.empty()) {
    return false;
  }
  state_->record(
      {.revision = ++state_->revision, .resource = known, .key = key, .before = removed.mapped(), .after = nullptr});
  return true;
}

std::uint64_t ApiServer::resource_version() const {
  const std::scoped_lock lock(state_->mutex);
  return state_->revision;
}

void ApiServer::compact() {
  const std::scoped_lock lock(state_->mutex);
  state_->history.clear();
  // One further, so that whatever version a client may have is too old.
  state_->compacted = ++state_->revision;
}

void ApiServer::set_permissions(const std::set<std::string>& allowed) {
  const std::scoped_lock lock(state_->mutex);
  state_->permissions = allowed;
}

void ApiServer::set_faults(const Faults& faults) {
  const std::scoped_lock lock(state_->mutex);
  state_->faults = faults;
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
