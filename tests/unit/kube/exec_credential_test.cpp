// SPDX-License-Identifier: Apache-2.0
#include "exec_credential.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "api_access.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/kube/api_client.hpp"

namespace hairpind {
namespace {

using ::testing::HasSubstr;

constexpr const char* kVersion = "client.authentication.k8s.io/v1";

ExecPlugin shell(const std::string& script) {
  return {.command = "sh",
          .arguments = {"-c", script},
          .environment = {},
          .api_version = kVersion,
          .install_hint = "get it from example.com",
          .cluster = "",
          .interactive = ExecPlugin::Interactive::kNever};
}

std::string answer(const std::string& status) {
  return std::string("echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"") + kVersion + "\",\"status\":{" + status +
         "}}'";
}

std::string error_of(const ExecPlugin& plugin) {
  const auto credential = run_plugin(plugin, -1);
  EXPECT_FALSE(credential);
  return credential ? "" : credential.error().message;
}

TEST(ExecCredential, WhatThePluginHandsOut) {
  const auto credential = run_plugin(
      shell(answer(
          R"("token":"t","clientCertificateData":"C","clientKeyData":"K","expirationTimestamp":"2030-01-01T00:00:00Z")")),
      -1);
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->token, "t");
  EXPECT_EQ(credential->certificate_pem, "C");
  EXPECT_EQ(credential->key_pem, "K");
  EXPECT_EQ(credential->expires, std::chrono::sys_seconds(std::chrono::seconds(1893456000)));
}

TEST(ExecCredential, ThePluginIsToldWhatItMayDo) {
  ExecPlugin plugin =
      shell(R"(read -r x; echo "{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\",)"
            R"(\"status\":{\"token\":\"$A/$x/$(echo "$KUBERNETES_EXEC_INFO" | tr -d '"')\"}}")");
  setenv("A", "outside", 1);
  plugin.environment = {"A=inside"};
  plugin.cluster = R"({"server":"https://x"})";
  const auto credential = run_plugin(plugin, -1);
  unsetenv("A");
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->token,
            "inside//{apiVersion:client.authentication.k8s.io/v1,kind:ExecCredential,spec:{cluster:{server:https://x},"
            "interactive:false}}");
}

TEST(ExecCredential, EachFailureIsNamed) {
  EXPECT_THAT(error_of(shell("exit 3")), HasSubstr("exit status 3"));
  EXPECT_THAT(error_of(shell("kill -9 $$")), HasSubstr("signal 9"));
  EXPECT_THAT(error_of(shell("echo nonsense")), HasSubstr("no ExecCredential"));
  EXPECT_THAT(error_of(shell(answer(""))), HasSubstr("neither a token nor a certificate"));
  EXPECT_THAT(error_of(shell(answer(R"("clientCertificateData":"C")"))), HasSubstr("without its key"));
  EXPECT_THAT(error_of(shell("while :; do echo 0123456789; done")), HasSubstr("no end"));
  ExecPlugin plugin = shell("");
  plugin.command = "no-such-program-here";
  EXPECT_THAT(error_of(plugin), HasSubstr("No such file or directory; get it from example.com"));
  plugin = shell(answer(R"("token":"t")"));
  plugin.api_version = "client.authentication.k8s.io/v1beta1";
  EXPECT_THAT(error_of(plugin), HasSubstr("it answers with apiVersion"));
  if (isatty(STDIN_FILENO) != 1) {
    plugin.interactive = ExecPlugin::Interactive::kAlways;
    EXPECT_THAT(error_of(plugin), HasSubstr("there is no terminal"));
  }
}

TEST(ExecCredential, StoppingEndsThePlugin) {
  const FileDescriptor stop(eventfd(1, EFD_NONBLOCK | EFD_CLOEXEC));
  EXPECT_FALSE(run_plugin(shell("exec sleep 600"), stop.get()));
  EXPECT_FALSE(run_plugin(shell("exec sleep 600 >/dev/null"), stop.get())) << "which says no more";
}

TEST(ExecCredential, IsKeptUntilItExpiresOrIsRefused) {
  testing::ApiServer server;
  std::string name = "/tmp/hairpind-exec-XXXXXX";
  const std::string directory = mkdtemp(name.data());
  const auto runs = [&] {
    std::ifstream file(directory + "/runs");
    return std::string(std::istreambuf_iterator<char>(file), {}).size();
  };
  ClusterAccess access = testing::access_to(server);
  access.token.clear();
  std::ofstream(directory + "/token") << server.token();
  access.exec = shell("printf x >>" + directory + "/runs; token=$(cat " + directory +
                      "/token); cat <<END\n{\"kind\":\"ExecCredential\",\"apiVersion\":\"" + kVersion +
                      "\",\"status\":{\"token\":\"$token\"}}\nEND\n");
  const auto client = *ApiClient::create(access);
  EXPECT_EQ(client->get("/api/v1/pods")->status, 200);
  EXPECT_EQ(client->get("/api/v1/pods")->status, 200);
  EXPECT_EQ(runs(), 1);
  server.set_token("rotated");
  std::ofstream(directory + "/token") << "rotated";
  EXPECT_EQ(client->get("/api/v1/pods")->status, 401);
  EXPECT_EQ(client->get("/api/v1/pods")->status, 200);
  EXPECT_EQ(runs(), 2);

  access.exec = shell("printf x >>" + directory + "/runs; " +
                      answer(R"("token":"rotated","expirationTimestamp":"2000-01-01T00:00:00Z")"));
  const auto expiring = *ApiClient::create(access);
  EXPECT_EQ(expiring->get("/api/v1/pods")->status, 200);
  EXPECT_EQ(expiring->get("/api/v1/pods")->status, 200);
  EXPECT_EQ(runs(), 4);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace hairpind
