// SPDX-License-Identifier: Apache-2.0
#include "node_claim.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace hairpind {

Result<FileDescriptor> claim_node(const std::string& name) {
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // The NUL in front makes it abstract: no file, no permissions, no leftovers.
  std::ranges::copy_n(name.begin(), static_cast<std::ptrdiff_t>(std::min(name.size(), sizeof(address.sun_path) - 1)),
                      std::begin(address.sun_path) + 1);
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (socket.get() < 0 || bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0) {
    if (errno == EADDRINUSE) {
      return fail("another hairpind runs in this network namespace (abstract socket @" + name +
                  "); two would take off each other's programs: stop that one first");
    }
    return fail_errno("claim this network namespace by the abstract socket @" + name, errno);
  }
  return socket;
}

}  // namespace hairpind
