// SPDX-License-Identifier: Apache-2.0
#include "credentials.hpp"

#include <algorithm>
#include <chrono>

#include "read_file.hpp"

namespace hairpind {
namespace {

using std::chrono::sys_seconds;
using std::chrono::system_clock;

// Not to come too late with what is about to expire.
constexpr std::chrono::seconds kEarly{10};

}  // namespace

bool Credentials::lacks_credential() const {
  const bool expired = handed_out_ && handed_out_->expires &&
                       std::chrono::floor<std::chrono::seconds>(system_clock::now()) + kEarly >= *handed_out_->expires;
  return !handed_out_ || expired;
}

Result<TlsConnection::Peer> Credentials::peer(int stop) {
  if (access_.exec && lacks_credential()) {
    auto credential = run_plugin(*access_.exec, stop);
    if (!credential) {
      return std::unexpected(credential.error());
    }
    handed_out_ = *std::move(credential);
  }
  TlsConnection::Peer peer{.host = access_.host,
                           .port = access_.port,
                           .name = access_.server_name.empty() ? access_.host : access_.server_name,
                           .proxy = access_.proxy,
                           .ca_pem = "",
                           .verify = access_.verify,
                           .certificate_pem = "",
                           .key_pem = ""};
  for (const auto& [source, into] :
       {std::pair{&access_.ca, &peer.ca_pem}, std::pair{&access_.client_certificate, &peer.certificate_pem},
        std::pair{&access_.client_key, &peer.key_pem}}) {
    auto text = source->read();
    if (!text) {
      return std::unexpected(text.error());
    }
    *into = *std::move(text);
  }
  if (handed_out_ && !handed_out_->certificate_pem.empty()) {
    peer.certificate_pem = handed_out_->certificate_pem;
    peer.key_pem = handed_out_->key_pem;
  }
  return peer;
}

Result<std::string> Credentials::token() const {
  std::string token = access_.token;
  if (!access_.token_file.empty()) {
    auto text = read_file(access_.token_file);
    if (!text) {
      return text;
    }
    token = *std::move(text);
    token.erase(token.find_last_not_of(" \r\n") + 1);
    if (token.empty()) {
      return fail("token file '" + access_.token_file + "' is empty");
    }
  }
  if (token.empty() && handed_out_) {
    token = handed_out_->token;
  }
  if (std::ranges::any_of(token, [](unsigned char c) { return c <= ' ' || c >= 0x7f; })) {
    return fail("the token is more than a token: it has blanks or control characters");
  }
  return token;
}

}  // namespace hairpind
