// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace hairpind {

/// What went wrong, for a person: the object, the operation, errno in words, and what to do.
struct Error {
  std::string message;
};

/// The return type of everything that can fail across folders. No exception crosses a folder.
template <typename T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> fail(std::string message) {
  return std::unexpected<Error>(Error{std::move(message)});
}

/// "<what>: <errno in words>", with `error_number` positive or negative as libbpf returns it.
std::unexpected<Error> fail_errno(const std::string& what, int error_number);

}  // namespace hairpind
