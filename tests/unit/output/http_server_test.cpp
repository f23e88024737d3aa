// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/http_server.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "raw_client.hpp"

namespace hairpind {
namespace {

using testing::eventually;
using ::testing::HasSubstr;
using testing::kPatience;
using testing::RawClient;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

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
  void SetUp() override { start("127.0.0.1"); }

  void start(const std::string& address) {
    auto started = HttpServer::listen({.pages = ListenAddress(address, 0), .probes = ListenAddress("127.0.0.1", 0)},
                                      {.metrics =
                                           [this] {
                                             std::this_thread::sleep_for(render_time);
                                             return "m " + std::to_string(++renders) + "\n" + padding;
                                           },
                                       .status = [] { return std::string("{\"s\":1}\n"); },
                                       .healthy = [this] { return healthy.load(); },
                                       .ready = [this] { return ready.load(); },
                                       .landing = "<h1>hairpind</h1>"});
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
    server->serve();
  }

  int status(const std::string& path) const {
    httplib::Client client("127.0.0.1", server->port());
    const auto response = client.Get(path);
    return response ? response->status : -1;
  }
  [[nodiscard]] RawClient asks(std::string_view bytes, int receive_bytes = 0) const {
    RawClient client(server->port(), receive_bytes);
    EXPECT_TRUE(client.send(bytes));
    return client;
  }
  /// Of /healthz, as a probe sees it.
  [[nodiscard]] Clock::duration probe() const {
    const auto asked = Clock::now();
    const std::string answer = asks("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    return Clock::now() - asked;
  }

  std::atomic<bool> healthy{true};
  std::atomic<bool> ready{false};
  std::atomic<int> renders{0};
  // Before the first question only.
  milliseconds render_time{0};
  std::string padding;
  std::unique_ptr<HttpServer> server;
};

constexpr std::string_view kScrape = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
// Less than the deadlines that would let a probe in, if nothing else did.
constexpr seconds kProbeBound{3};

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

TEST_F(HttpServerTest, APersonFindsALandingPage) {
  httplib::Client client("127.0.0.1", server->port());
  const auto response = client.Get("/");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "<h1>hairpind</h1>\n");
  EXPECT_EQ(response->get_header_value("Content-Type"), "text/html; charset=utf-8");
}

TEST_F(HttpServerTest, TheStatusIsForThisMachineOnly) {
  httplib::Client client("127.0.0.1", server->port());
  auto response = client.Get("/v1/status");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  EXPECT_EQ(response->body, "{\"s\":1}\n");
  EXPECT_EQ(response->get_header_value("Content-Type"), "application/json");
  httplib::Client stranger("127.0.0.1", server->port());
  stranger.set_interface("127.0.0.2");
  response = stranger.Get("/v1/status");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 403);
  response = stranger.Get("/metrics");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
}

TEST_F(HttpServerTest, PagesAreZippedForWhoTakesIt) {
  padding = std::string(1 << 20U, '#');
  httplib::Client client("127.0.0.1", server->port());
  const auto zipped = client.Get("/metrics", {{"Accept-Encoding", "gzip"}});
  ASSERT_TRUE(zipped);
  EXPECT_EQ(zipped->get_header_value("Content-Encoding"), "gzip");
  EXPECT_LT(zipped->get_header_value<std::uint64_t>("Content-Length"), padding.size() / 10);
  EXPECT_EQ(zipped->body, "m 1\n" + padding);
  const auto plain = client.Get("/metrics", {{"Accept-Encoding", "identity"}});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->get_header_value("Content-Encoding"), "");
  EXPECT_EQ(plain->body, "m 2\n" + padding);
}

TEST_F(HttpServerTest, HeadIsGetWithoutTheBody) {
  const std::string answer = asks("HEAD /metrics HTTP/1.1\r\n\r\n").read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 4\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n")) << answer;
  EXPECT_TRUE(asks("HEAD /healthz HTTP/1.1\r\n\r\n").read_all().ends_with("\r\n\r\n"));
}

TEST_F(HttpServerTest, AnAddressInUseIsRefused) {
  const auto second = HttpServer::listen({.pages = ListenAddress("127.0.0.1", server->port())}, {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("Address already in use"));
  EXPECT_THAT(second.error().message, HasSubstr("--listen"));
}

TEST_F(HttpServerTest, AllAddressesAreOfBothFamilies) {
  start("::");
  EXPECT_EQ(status("/healthz"), 200);
  httplib::Client client("::1", server->port());
  const auto response = client.Get("/healthz");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
}

TEST_F(HttpServerTest, ARangeIsNotWorthALook) {
  std::string range = "Range: bytes=0-";
  while (range.size() < 7000) {
    range += ",0-";
  }
  for (int i = 0; i < 20; i++) {
    const std::string answer = asks("GET /healthz HTTP/1.1\r\n" + range + "\r\n\r\n").read_all();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_LT(answer.size(), 300U);
  }
}

struct RefusalCase {
  const char* description;
  std::string bytes;
  const char* status_line;
};

// They hear what is wrong although they have sent more than was read, and go on.
TEST_F(HttpServerTest, WhatItDoesNotTakeIsRefused) {
  const std::string long_header = "X: " + std::string(60, 'x') + "\r\n";
  std::string many_headers = "GET /metrics HTTP/1.1\r\n";
  while (many_headers.size() < 60'000) {
    many_headers += long_header;
  }
  const std::vector<RefusalCase> cases{
      {"a method", "DELETE /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405 Method Not Allowed\r\n"},
      {"a chunked body", "GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
       "HTTP/1.1 413 Content Too Large\r\n"},
      {"a body", "GET /metrics HTTP/1.1\r\nContent-Length: 20000\r\n\r\n" + std::string(20'000, 'b'),
       "HTTP/1.1 413 Content Too Large\r\n"},
      {"header lines", many_headers, "HTTP/1.1 431 Request Header Fields Too Large\r\n"},
      {"HTTP/0.9", "GET /metrics\r\n", "HTTP/1.1 400 Bad Request\r\n"},
      {"NUL", std::string("GET /metrics\0 HTTP/1.1\r\n\r\n", 27), "HTTP/1.1 400 Bad Request\r\n"},
      {"TLS", "\x16\x03\x01\x02\x05\x01", "HTTP/1.1 400 Bad Request\r\n"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 HTTP Version Not Supported\r\n"},
  };
  for (const RefusalCase& test : cases) {
    SCOPED_TRACE(test.description);
    EXPECT_THAT(asks(test.bytes).read_all(), StartsWith(test.status_line));
  }
  EXPECT_EQ(renders, 0);
}

TEST_F(HttpServerTest, ABodyWithoutEndEnds) {
  const RawClient client = asks("GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(4096, 'c') + "\r\n";
  EXPECT_TRUE(eventually([&] { return !client.send(chunk); }));
}

TEST_F(HttpServerTest, ManyRequestsAtOnceHaveOneAnswer) {
  std::string pipeline;
  for (int i = 0; i < 100; i++) {
    pipeline += kScrape;
  }
  const std::string answer = asks(pipeline).read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nm 1\n")) << answer;
  EXPECT_EQ(renders, 1);
}

// As `nc -N` does.
TEST_F(HttpServerTest, WhoClosesItsSideHearsTheAnswer) {
  padding = std::string(1 << 20U, '#');
  const RawClient client = asks(kScrape);
  client.end_sending();
  EXPECT_THAT(client.read_all(), HasSubstr("m 1\n" + padding));
}

TEST_F(HttpServerTest, DrippersDoNotLockOutTheProbesAndAreCut) {
  std::vector<RawClient> drippers;
  for (int i = 0; i < 16; i++) {
    drippers.push_back(asks("GET /metrics HTTP/1.1\r\n"));
  }
  EXPECT_LT(probe(), kProbeBound);
  // Each has had its byte in time, all the time.
  EXPECT_TRUE(eventually([&] {
    return std::ranges::all_of(drippers,
                               [](const RawClient& dripper) { return !dripper.send("a") || dripper.is_cut(); });
  }));
  EXPECT_EQ(renders, 0);
}

TEST_F(HttpServerTest, IdleClientsWithoutNumberDoNotLockOutTheProbes) {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  const std::size_t count = std::min<std::size_t>(1100, descriptors.rlim_cur - 200);
  std::vector<RawClient> idle;
  for (std::size_t i = 0; i < count; i++) {
    idle.emplace_back(server->port());
  }
  EXPECT_LT(probe(), kProbeBound);
  EXPECT_TRUE(eventually([&] {
    return std::ranges::count_if(idle, &RawClient::is_cut) >=
           static_cast<std::ptrdiff_t>(count - HttpServer::kMostAsking - HttpServer::kMostServed);
  }));
}

TEST_F(HttpServerTest, ASlowReaderIsCutAndDelaysNobody) {
  padding = std::string(8U << 20U, '#');
  const RawClient slow = asks(kScrape, 4096);
  EXPECT_THAT(slow.read_some(), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_LT(probe(), kProbeBound);
  const auto begun = Clock::now();
  std::size_t read = 0;
  // Never silent for long, never fast.
  for (std::string some = slow.read_some(); !some.empty(); some = slow.read_some()) {
    read += some.size();
    std::this_thread::sleep_for(milliseconds(20));
    ASSERT_LT(Clock::now() - begun, kPatience);
  }
  EXPECT_LT(read, padding.size() / 2);
}

// However many there are, they keep two pages; who asks then gets the newer one.
TEST_F(HttpServerTest, SlowReadersKeepFewPages) {
  padding = std::string(4U << 20U, '#');
  std::vector<RawClient> slow;
  const auto add_one = [&] {
    slow.push_back(asks(kScrape, 4096));
    EXPECT_THAT(slow.back().read_some(), StartsWith("HTTP/1.1 200 OK\r\n"));
  };
  while (slow.size() + 1 < HttpServer::kMostServed) {
    add_one();
  }
  EXPECT_EQ(renders, 2);
  EXPECT_THAT(asks(kScrape).read_all(), HasSubstr("\r\n\r\nm 2\n"));
  EXPECT_FALSE(slow.front().is_cut());
  add_one();
  add_one();
  EXPECT_TRUE(eventually([&] { return slow.front().is_cut(); })) << "it made room for the last one";
  slow.clear();
  EXPECT_TRUE(eventually([&] { return asks(kScrape).read_all().find("\r\n\r\nm 4\n") != std::string::npos; }));
}

TEST_F(HttpServerTest, WhoAsksTogetherIsServedTogether) {
  render_time = milliseconds(50);
  std::vector<RawClient> scrapers;
  for (std::size_t i = 0; i < HttpServer::kMostServed; i++) {
    scrapers.push_back(asks(kScrape));
  }
  for (const RawClient& scraper : scrapers) {
    EXPECT_THAT(scraper.read_all(), HasSubstr("\r\n\r\nm "));
  }
  EXPECT_LE(renders, 3);
  EXPECT_LT(probe(), kProbeBound);
}

TEST_F(HttpServerTest, LeavesAtOnceWhoeverIsThere) {
  padding = std::string(8U << 20U, '#');
  const RawClient idle(server->port());
  const RawClient dripper = asks("GET /");
  const RawClient slow = asks(kScrape, 4096);
  EXPECT_THAT(slow.read_some(), StartsWith("HTTP/1.1 200 OK\r\n"));
  const auto begun = Clock::now();
  server.reset();
  EXPECT_LT(Clock::now() - begun, seconds(1));
  EXPECT_TRUE(eventually([&] { return idle.is_cut() && dripper.is_cut() && slow.is_cut(); }));
}

}  // namespace
}  // namespace hairpind
