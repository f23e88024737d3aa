// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/log_reader.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <optional>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> split(const std::vector<std::string>& pieces, std::size_t longest,
                               LineSplitter** result = nullptr) {
  std::vector<std::string> lines;
  static std::optional<LineSplitter> splitter;
  splitter.emplace([&](std::string_view line,
                       std::uint64_t number) { lines.push_back(std::to_string(number) + ":" + std::string(line)); },
                   longest);
  for (const auto& piece : pieces) {
    splitter->add(piece);
  }
  splitter->finish();
  if (result != nullptr) {
    *result = &*splitter;
  }
  return lines;
}

TEST(LineSplitter, LinesAreWholeHoweverTheyCome) {
  EXPECT_THAT(split({"a\nb", "c\n", "\nlast"}, 100), ElementsAre("1:a", "2:bc", "3:", "4:last"));
  EXPECT_THAT(split({}, 100), ElementsAre());
  EXPECT_THAT(split({"a\n"}, 100), ElementsAre("1:a"));
}

TEST(LineSplitter, ALineTooLongIsPassedOverAndTheNextIsNot) {
  LineSplitter* splitter = nullptr;
  EXPECT_THAT(split({"ok\n12345", "67", "8901\nnext\n123456789"}, 8, &splitter), ElementsAre("1:ok", "3:next"));
  EXPECT_EQ(splitter->too_long(), 2);
  EXPECT_EQ(splitter->first_too_long(), 2);
  EXPECT_EQ(splitter->lines(), 4);
  EXPECT_THAT(split({"12345678\n123456789\n"}, 8), ElementsAre("1:12345678"));
}

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(text.size() + 100, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

struct ReadBack {
  std::vector<std::string> lines;
  std::string error;
};

ReadBack read_back(const std::string& bytes) {
  char path[] = "/tmp/hairpind-explain-XXXXXX";
  const FileDescriptor file(mkstemp(path));
  unlink(path);
  EXPECT_EQ(write(file.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  lseek(file.get(), 0, SEEK_SET);
  ReadBack result;
  LineSplitter lines([&](std::string_view line, std::uint64_t) { result.lines.emplace_back(line); });
  const auto read = read_log(file.get(), "some.log", lines);
  result.error = read ? "" : read.error().message;
  return result;
}

TEST(ReadLog, PlainAndGzipAndSeveralMembers) {
  EXPECT_THAT(read_back("a\nb").lines, ElementsAre("a", "b"));
  EXPECT_THAT(read_back("").lines, ElementsAre());
  EXPECT_THAT(read_back("x").lines, ElementsAre("x"));
  const ReadBack both = read_back(gzip("a\nb") + gzip("c\nd\n"));
  EXPECT_THAT(both.lines, ElementsAre("a", "bc", "d"));
  EXPECT_EQ(both.error, "");
  EXPECT_EQ(read_back(gzip("a\n") + std::string(512, '\0')).error, "");
}

TEST(ReadLog, WhatIsDamagedOrCutOffIsSaidAndTheLinesBeforeCount) {
  const std::string whole = gzip("first\nsecond\n");
  const ReadBack cut = read_back(whole.substr(0, whole.size() - 6));
  EXPECT_THAT(cut.lines, ElementsAre("first", "second"));
  EXPECT_THAT(cut.error, HasSubstr("'some.log': the gzip file is cut off"));
  EXPECT_THAT(read_back(gzip("first\n") + "garbage").error, HasSubstr("damaged"));
  EXPECT_THAT(read_back(gzip("first\n") + "garbage").lines, ElementsAre("first"));
}

TEST(ReadLog, AFolderCannotBeRead) {
  LineSplitter lines([](std::string_view, std::uint64_t) {});
  const FileDescriptor folder(open("/tmp", 0));
  const auto read = read_log(folder.get(), "/tmp", lines);
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("read '/tmp': Is a directory"));
}

}  // namespace
}  // namespace hairpind
