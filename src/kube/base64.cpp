// SPDX-License-Identifier: Apache-2.0
#include "base64.hpp"

#include <openssl/evp.h>

#include <cstddef>

namespace hairpind {

std::optional<std::string> decode_base64(const std::string& encoded) {
  std::string compact;
  for (const char c : encoded) {
    if (c != '\n' && c != '\r' && c != ' ') {
      compact += c;
    }
  }
  std::string text(compact.size() / 4 * 3 + 3, '\0');
  const int length =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(compact.data()), static_cast<int>(compact.size()));
  if (length < 0) {
    return std::nullopt;
  }
  text.resize(static_cast<std::size_t>(length));
  // EVP_DecodeBlock counts the padding as zero bytes.
  for (auto c = compact.rbegin(); c != compact.rend() && *c == '=' && !text.empty(); ++c) {
    text.pop_back();
  }
  return text;
}

std::string encode_base64(const std::string& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int length =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<std::size_t>(length));
  return text;
}

}  // namespace hairpind
