// SPDX-License-Identifier: Apache-2.0
#include "http_response.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <vector>

namespace hairpind {
namespace {

using ::testing::HasSubstr;

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, text.size()) + 32, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(packed.size() - stream.avail_out);
  deflateEnd(&stream);
  return packed;
}

struct Read {
  int status = 0;
  int heads = 0;
  std::string body;
  std::string error;
  bool complete = false;
  bool reusable = false;
};

/// `step` bytes at a time; `most`: of the body, after which it has had enough.
Read read(const std::string& bytes, std::size_t step, std::size_t most = std::string::npos) {
  HttpResponse response;
  Read result;
  for (std::size_t at = 0; at < bytes.size() && result.error.empty() && !response.abandoned(); at += step) {
    const auto fed = response.feed(
        std::string_view(bytes).substr(at, step), [&] { result.heads++; },
        [&](std::string_view piece) {
          result.body += piece;
          return result.body.size() < most;
        });
    if (!fed) {
      result.error = fed.error().message;
    }
  }
  if (result.error.empty()) {
    if (const auto finished = response.finish(); !finished) {
      result.error = finished.error().message;
    }
  }
  result.status = response.status();
  result.complete = response.complete();
  result.reusable = response.reusable();
  return result;
}

TEST(HttpResponse, BodiesOfEachForm) {
  const std::string packed = gzip(R"({"kind":"PodList"})");
  struct Case {
    const char* name;
    std::string bytes;
    int status;
    const char* body;
    bool reusable;
  };
  for (const Case& each : std::vector<Case>{
           {"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", true},
           {"chunks",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n", 200,
            "hello", true},
           {"until the end", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello", 200, "hello", false},
           {"nothing", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true},
           {"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
           {"closing", "HTTP/1.1 401 Unauthorized\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nno", 401, "no",
            false},
           {"an interim answer first",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", true},
           {"gzip",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + std::to_string(packed.size()) +
                "\r\n\r\n" + packed,
            200, R"({"kind":"PodList"})", true},
           {"bare line feeds", "HTTP/1.1 200 OK\nContent-Length: 1\n\na", 200, "a", true},
       }) {
    for (const std::size_t step : {std::size_t{1}, std::size_t{7}, each.bytes.size()}) {
      const Read got = read(each.bytes, step);
      EXPECT_EQ(got.error, "") << each.name << " by " << step;
      EXPECT_EQ(got.status, each.status) << each.name;
      EXPECT_EQ(got.heads, 1) << each.name;
      EXPECT_EQ(got.body, each.body) << each.name << " by " << step;
      EXPECT_TRUE(got.complete) << each.name;
      EXPECT_EQ(got.reusable, each.reusable) << each.name;
    }
  }
}

TEST(HttpResponse, WhatIsNoAnswerIsSaidToBeNone) {
  for (const auto& [bytes, error] : std::vector<std::pair<std::string, std::string>>{
           {"SSH-2.0-OpenSSH\r\n", "no HTTP/1.1"},
           {"HTTP/1.1 999999\r\n\r\n", "no HTTP/1.1"},
           {"HTTP/1.1 abc OK\r\n", "no HTTP/1.1"},
           {"\r\n", "no HTTP/1.1"},
           {"HTTP/1.1 200 OK\r\nno colon\r\n", "no HTTP/1.1"},
           {"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "unknown form"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\n", "unknown form"},
           {"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n", "not asked for"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "no HTTP/1.1"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n", "no HTTP/1.1"},
           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "in the middle"},
           {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc", "more than one answer"},
           {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nplain text", "not the gzip"},
           {"HTTP/1.1 200", "in the middle"},
       }) {
    EXPECT_THAT(read(bytes, bytes.size()).error, HasSubstr(error)) << bytes;
  }
}

TEST(HttpResponse, EndlessHeadsAreNotRead) {
  const std::string status = "HTTP/1.1 200 OK\r\n";
  std::string many = status;
  for (int i = 0; i < 5000; i++) {
    many += "X-" + std::to_string(i) + ": y\r\n";
  }
  for (const std::string& bytes : {many, status + "X: " + std::string(100000, 'y'), std::string(100000, 'H'),
                                   status + "Transfer-Encoding: chunked\r\n\r\n" + std::string(100000, '0')}) {
    EXPECT_THAT(read(bytes, 1000).error, HasSubstr("headers beyond 32 KiB"));
  }
}

TEST(HttpResponse, WhatGzipBlowsUpComesInPieces) {
  const std::string packed = gzip(std::string(50000000, 'a'));
  ASSERT_LT(packed.size(), 100000);
  const Read got = read("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + packed, 4096, 100000);
  EXPECT_EQ(got.error, "");
  EXPECT_FALSE(got.complete);
  EXPECT_LT(got.body.size(), 120000);
}

}  // namespace
}  // namespace hairpind
