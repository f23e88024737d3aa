// SPDX-License-Identifier: Apache-2.0
#include "read_file.hpp"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hairpind {

Result<std::string> read_file(const std::string& path) {
  errno = 0;
  const std::ifstream file(path);
  std::error_code ignored;
  if (!file || std::filesystem::is_directory(path, ignored)) {
    return fail_errno("read '" + path + "'", errno == 0 ? EISDIR : errno);
  }
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace hairpind
