// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/http_server.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

TEST(ParseListenAddress, AcceptsBothFamilies) {
  EXPECT_EQ(*parse_listen_address("127.0.0.1:9477"), (std::pair<std::string, std::uint16_t>{"127.0.0.1", 9477}));
  EXPECT_EQ(*parse_listen_address("[::]:80"), (std::pair<std::string, std::uint16_t>{"::", 80}));
}

TEST(ParseListenAddress, RefusesTheRest) {
  for (const char* const text :
       {"", ":9477", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "::1:80", "[]:80", "[::1]80"}) {
    EXPECT_FALSE(parse_listen_address(text)) << text;
  }
}

class HttpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = HttpServer::start("127.0.0.1", 0,
                                     {.metrics = [] { return std::string("m 1\n"); },
                                      .healthy = [this] { return healthy.load(); },
                                      .ready = [this] { return ready.load(); }});
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
  }

  int status(const std::string& path) const {
    httplib::Client client("127.0.0.1", server->port());
    const auto response = client.Get(path);
    return response ? response->status : -1;
  }

  std::atomic<bool> healthy{true};
  std::atomic<bool> ready{false};
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpServerTest, ProbesFollowTheAgent) {
  EXPECT_EQ(status("/healthz"), 200);
  EXPECT_EQ(status("/readyz"), 503);
  ready = true;
  EXPECT_EQ(status("/readyz"), 200);
  healthy = false;
  EXPECT_EQ(status("/healthz"), 503);
  EXPECT_EQ(status("/elsewhere"), 404);
}

TEST_F(HttpServerTest, MetricsSayTheirFormat) {
  httplib::Client client("127.0.0.1", server->port());
  const auto response = client.Get("/metrics");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "m 1\n");
  EXPECT_EQ(response->get_header_value("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
}

TEST_F(HttpServerTest, AnAddressInUseIsRefused) {
  const auto second = HttpServer::start("127.0.0.1", server->port(), {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, ::testing::HasSubstr("Address already in use"));
  EXPECT_THAT(second.error().message, ::testing::HasSubstr("--listen"));
}

TEST_F(HttpServerTest, SilentClientsDoNotLockOutTheProbes) {
  std::vector<FileDescriptor> silent;
  for (int i = 0; i < 16; i++) {
    FileDescriptor client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    silent.push_back(std::move(client));
  }
  httplib::Client client("127.0.0.1", server->port());
  client.set_read_timeout(60);
  const auto response = client.Get("/healthz");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
}

}  // namespace
}  // namespace hairpind
