// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// The content of a small file: a token, a certificate, a kubeconfig. The error names it.
Result<std::string> read_file(const std::string& path);

}  // namespace hairpind
