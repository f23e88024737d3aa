// SPDX-License-Identifier: Apache-2.0
// How `hairpind status` and `hairpind verify` ask the agent beside them, whatever it listens with.
#include "hairpind/net/local_http.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

#include "certificates.hpp"
#include "hairpind/output/http_server.hpp"

namespace hairpind {
namespace {

using ::testing::HasSubstr;

class LocalHttpTest : public ::testing::Test {
 protected:
  void TearDown() override {
    server.reset();
    if (!directory.empty()) {
      std::filesystem::remove_all(directory);
    }
  }

  void start(const HttpServer::Listeners& listeners) {
    auto started = HttpServer::listen(listeners, {.metrics = [] { return std::string(); },
                                                  .status = [this] { return "status\n" + padding; },
                                                  .healthy = [] { return true; },
                                                  .ready = [] { return true; }});
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
    server->serve();
  }

  std::string directory;
  std::string padding = std::string(1U << 20U, '#');
  std::unique_ptr<HttpServer> server;
};

TEST_F(LocalHttpTest, AsksByPlainHttp) {
  start({.pages = ListenAddress("127.0.0.1", 0)});
  const auto status = get_local("0.0.0.0", server->port(), "/v1/status");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, "status\n" + padding);
}

TEST_F(LocalHttpTest, AsksByTlsWhereTheAgentSpeaksNothingElse) {
  std::string pattern = "/tmp/hairpind-local-XXXXXX";
  directory = mkdtemp(pattern.data());
  // Not for this name: it is not asked for by one.
  const testing::Certificates certificates = testing::make_certificates("DNS:node-1.example.com");
  std::ofstream(directory + "/c") << certificates.server.certificate;
  std::ofstream(directory + "/k") << certificates.server.private_key;
  start({.pages = ListenAddress("127.0.0.1", 0),
         .tls = TlsFiles{.certificate = directory + "/c", .key = directory + "/k"}});
  const auto status = get_local("127.0.0.1", server->port(), "/v1/status");
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, "status\n" + padding);
  const auto missing = get_local("127.0.0.1", server->port(), "/elsewhere");
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("404 Not Found"));
}

TEST_F(LocalHttpTest, SaysWhyItCouldNotAsk) {
  start({.probes = ListenAddress("127.0.0.1", 0)});
  const auto probes = get_local("127.0.0.1", server->probes_port(), "/v1/status");
  ASSERT_FALSE(probes);
  EXPECT_THAT(probes.error().message, HasSubstr("404 Not Found: /healthz and /readyz are here"));
  const std::uint16_t port = server->probes_port();
  server.reset();
  const auto nobody = get_local("127.0.0.1", port, "/v1/status");
  ASSERT_FALSE(nobody);
  EXPECT_THAT(nobody.error().message, HasSubstr("Connection refused"));
}

}  // namespace
}  // namespace hairpind
