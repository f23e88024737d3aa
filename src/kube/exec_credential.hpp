// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "hairpind/core/error.hpp"
#include "hairpind/kube/cluster_access.hpp"

namespace hairpind {

/// What an ExecPlugin handed out: a token, a client certificate, or both.
struct ExecCredential {
  std::string token;
  std::string certificate_pem;
  std::string key_pem;
  std::optional<std::chrono::sys_seconds> expires;
};

/// Runs the program and waits for it: at most half a minute, or until `stop` becomes readable.
Result<ExecCredential> run_plugin(const ExecPlugin& plugin, int stop);

/// What the program wrote.
Result<ExecCredential> parse_exec_credential(const ExecPlugin& plugin, const std::string& output);

/// "2026-11-24T02:43:12Z", as every time in the API; nullopt for what is none.
std::optional<std::chrono::sys_seconds> parse_time(const std::string& text);

}  // namespace hairpind
