// SPDX-License-Identifier: Apache-2.0
#include "http_request.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace hairpind {
namespace {

using namespace std::string_literals;
using State = HttpRequest::State;

// As Prometheus 2.42 sends it, with a service account's token.
std::string scrape() {
  return "GET /metrics HTTP/1.1\r\nHost: 10.0.0.4:9477\r\nUser-Agent: Prometheus/2.42.0\r\n"
         "Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\nAccept-Encoding: gzip\r\nAuthorization: Bearer " +
         std::string(2048, 'a') + "\r\nX-Prometheus-Scrape-Timeout-Seconds: 10\r\n\r\n";
}

TEST(HttpRequest, ReadsAScrapersRequestInAnyPieces) {
  const std::string text = scrape();
  for (std::size_t step = 1; step <= text.size(); step += 7) {
    HttpRequest request;
    for (std::size_t at = 0; at < text.size(); at += step) {
      EXPECT_EQ(request.state(), State::kReading);
      request.feed(std::string_view(text).substr(at, step));
    }
    ASSERT_EQ(request.state(), State::kComplete) << "in pieces of " << step;
    EXPECT_EQ(request.path(), "/metrics");
    EXPECT_TRUE(request.takes_gzip());
    EXPECT_FALSE(request.head_only());
  }
}

struct RequestCase {
  const char* description;
  std::string bytes;
  int refusal;       // -1: more is to come; 0: complete
  const char* path;  // of what is complete
};

TEST(HttpRequest, TakesOrRefuses) {
  const std::string head = "GET /metrics HTTP/1.1\r\n";
  const std::vector<RequestCase> cases{
      {"the shortest", "GET / HTTP/1.0\r\n\r\n", 0, "/"},
      {"bare line feeds", "GET /a HTTP/1.1\nHost: x\n\n", 0, "/a"},
      {"a query", "GET /metrics?name[]=up HTTP/1.1\r\n\r\n", 0, "/metrics"},
      {"as proxies ask", "GET http://node:9477/healthz?x HTTP/1.1\r\n\r\n", 0, "/healthz"},
      {"HEAD", "HEAD /healthz HTTP/1.1\r\n\r\n", 0, "/healthz"},
      {"a Range is nobody's", head + "Range: bytes=0-,0-,0-\r\n\r\n", 0, "/metrics"},
      {"a body of nothing", head + "Content-Length: 0\r\n\r\n", 0, "/metrics"},
      {"what follows is passed over", head + "\r\nPOST \x01\x02\x03", 0, "/metrics"},
      {"not all", head + "Host: x\r\n", -1, ""},
      {"POST", "POST /metrics HTTP/1.1\r\n", 405, ""},
      {"a method that nobody knows", "BREW /pot HTTP/1.1\r\n", 405, ""},
      {"small letters", "get / HTTP/1.1\r\n", 405, ""},
      {"chunked", head + "TRANSFER-encoding: chunked\r\n", 413, ""},
      {"a body", head + "Content-Length: 1\r\n", 413, ""},
      {"a body beyond any number", head + "Content-Length: 99999999999999999999999\r\n", 413, ""},
      {"a negative body", head + "Content-Length: -1\r\n", 400, ""},
      {"a length of no number", head + "Content-Length: \r\n", 400, ""},
      {"two lengths", head + "Content-Length: 0\r\nContent-Length: 5\r\n", 413, ""},
      {"HTTP/0.9", "GET /metrics\r\n", 400, ""},
      {"HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, ""},
      {"another version", "GET / HTTP/3.0\r\n", 505, ""},
      {"a version of no form", "GET / HTTP/1.10\r\n", 400, ""},
      {"an empty line", "\r\n", 400, ""},
      {"one word", "GET\r\n", 400, ""},
      {"blanks in the target", "GET /a b HTTP/1.1\r\n", 400, ""},
      {"two blanks", "GET  / HTTP/1.1\r\n", 400, ""},
      {"no path", "GET metrics HTTP/1.1\r\n", 400, ""},
      {"an authority alone", "GET http://node HTTP/1.1\r\n", 400, ""},
      {"NUL in the target", "GET /\0 HTTP/1.1\r\n"s, 400, ""},
      {"NUL at once", "\0"s, 400, ""},
      {"NUL in a header", head + "Host: a\0b\r\n"s, 400, ""},
      {"a TLS client's first bytes", "\x16\x03\x01\x02", 400, ""},
      {"a carriage return within", "GET / HTTP/1.1\rX: y\r\n", 400, ""},
      {"a header without a colon", head + "Host\r\n", 400, ""},
      {"a header without a name", head + ": x\r\n", 400, ""},
      {"a blank before the colon", head + "Content-Length : 5\r\n", 400, ""},
      {"a continued line", head + "Host: x\r\n y\r\n", 400, ""},
      {"a long line without end", std::string(HttpRequest::kLongestHead, 'a'), -1, ""},
      {"a longer one", std::string(HttpRequest::kLongestHead + 1, 'a'), 431, ""},
      {"a long header", head + "X: " + std::string(HttpRequest::kLongestHead, 'a'), 431, ""},
  };
  for (const RequestCase& test : cases) {
    SCOPED_TRACE(test.description);
    for (const std::size_t step : {std::size_t{1}, test.bytes.size()}) {
      HttpRequest request;
      for (std::size_t at = 0; at < test.bytes.size(); at += step) {
        request.feed(std::string_view(test.bytes).substr(at, step));
      }
      EXPECT_EQ(request.state(),
                test.refusal < 0 ? State::kReading : (test.refusal == 0 ? State::kComplete : State::kRefused));
      EXPECT_EQ(request.refusal(), std::max(test.refusal, 0));
      if (test.refusal == 0) {
        EXPECT_EQ(request.path(), test.path);
        EXPECT_EQ(request.head_only(), test.bytes.starts_with("HEAD"));
      }
    }
  }
}

TEST(HttpRequest, HeaderLinesWithoutNumberEnd) {
  HttpRequest request;
  request.feed("GET / HTTP/1.1\r\n");
  std::size_t sent = 0;
  while (request.feed("a: b\r\n") == State::kReading) {
    sent += 6;
    ASSERT_LE(sent, HttpRequest::kLongestHead);
  }
  EXPECT_EQ(request.refusal(), 431);
}

TEST(HttpRequest, GzipIsForWhoTakesIt) {
  const std::vector<std::pair<const char*, bool>> cases{
      {"gzip", true},           {"GZip", true},          {"br;q=1.0, gzip;q=0.8, *;q=0.1", true},
      {"deflate,gzip", true},   {"gzip;q=0.001", true},  {"gzip;q=0", false},
      {"gzip; q=0.000", false}, {"identity", false},     {"", false},
      {"x-gzip", false},        {",,;,q=0,gzip,", true},
  };
  for (const auto& [value, takes] : cases) {
    HttpRequest request;
    request.feed("GET / HTTP/1.1\r\nAccept-Encoding: " + std::string(value) + "\r\n\r\n");
    EXPECT_EQ(request.takes_gzip(), takes) << value;
  }
}

}  // namespace
}  // namespace hairpind
