// SPDX-License-Identifier: Apache-2.0
#include "faults.hpp"

#include <poll.h>

#include <map>
#include <utility>

#include "protocol.hpp"

namespace hairpind::testing {

using nlohmann::ordered_json;

bool FailNext::takes(const std::string& text) {
  if (count == 0 || (!request.empty() && request != text)) {
    return false;
  }
  count--;
  return true;
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

bool peer_gone(int fd) {
  pollfd state{.fd = fd, .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) > 0;
}

}  // namespace hairpind::testing
