// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/error.hpp"

#include <cstdlib>
#include <system_error>

namespace hairpind {

std::unexpected<Error> fail_errno(const std::string& what, int error_number) {
  return fail(what + ": " + std::generic_category().message(std::abs(error_number)));
}

}  // namespace hairpind
