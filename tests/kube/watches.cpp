// SPDX-License-Identifier: Apache-2.0
// Watches: what is sent in them, and how they end.
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>

#include "server_state.hpp"

namespace hairpind::testing {

using nlohmann::json;

std::string event_line(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

namespace {

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

}  // namespace

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
    for (const auto& [key, object] : store.objects(*scope.resource)) {
      if (scope.contains(object)) {
        watch->pending.push_back(event_line("ADDED", with_kind(*scope.resource, object->text)));
      }
    }
  } else if (*since < store.compacted()) {
    watch->pending.push_back(event_line("ERROR", too_old(*since, store.compacted()).dump()));
    watch->end = End::kClean;
  } else {
    for (const Event& event : store.history()) {
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
    watch.pending.push_back(bookmark_line(*watch.scope.resource, store.revision()));
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

void ApiServer::State::tell(const Event& event) {
  for (const WatchPtr& watch : watches) {
    if (watch->end) {
      continue;
    }
    if (std::string line = watch_line(watch->scope, event); !line.empty()) {
      watch->pending.push_back(std::move(line));
    }
  }
  changed.notify_all();
}

}  // namespace hairpind::testing
