// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/alert_sink.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace hairpind {
namespace {

class AlertSinkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/hairpind-sink-XXXXXX";
    directory = mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  static std::string read(const std::string& path) {
    const std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string directory;
};

TEST_F(AlertSinkTest, AppendsWholeLines) {
  const std::string path = directory + "/alerts";
  std::ofstream(path) << "older\n";
  auto sink = AlertSink::open(path);
  ASSERT_TRUE(sink);
  EXPECT_TRUE(sink->write("one"));
  EXPECT_TRUE(sink->write("two"));
  EXPECT_EQ(read(path), "older\none\ntwo\n");
}

TEST_F(AlertSinkTest, RefusalNamesPathReasonAndRemedy) {
  const auto sink = AlertSink::open(directory + "/missing/alerts");
  ASSERT_FALSE(sink);
  EXPECT_THAT(sink.error().message, ::testing::HasSubstr(directory + "/missing/alerts"));
  EXPECT_THAT(sink.error().message, ::testing::HasSubstr("No such file or directory"));
}

TEST_F(AlertSinkTest, ReopenFollowsARotation) {
  const std::string path = directory + "/alerts";
  auto sink = AlertSink::open(path);
  ASSERT_TRUE(sink);
  EXPECT_TRUE(sink->write("one"));
  std::filesystem::rename(path, path + ".1");
  EXPECT_TRUE(sink->write("two"));
  EXPECT_TRUE(sink->reopen());
  EXPECT_TRUE(sink->write("three"));
  EXPECT_EQ(read(path + ".1"), "one\ntwo\n");
  EXPECT_EQ(read(path), "three\n");
}

TEST_F(AlertSinkTest, FailedReopenKeepsTheOldFile) {
  const std::string path = directory + "/sub/alerts";
  std::filesystem::create_directory(directory + "/sub");
  auto sink = AlertSink::open(path);
  ASSERT_TRUE(sink);
  std::filesystem::rename(directory + "/sub", directory + "/away");
  EXPECT_FALSE(sink->reopen());
  EXPECT_TRUE(sink->write("still"));
  EXPECT_EQ(read(directory + "/away/alerts"), "still\n");
}

TEST_F(AlertSinkTest, SlowReaderBlocksNothingAndLosesNothing) {
  const std::string path = directory + "/fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const FileDescriptor reader(open(path.c_str(), O_RDONLY | O_NONBLOCK));
  auto sink = AlertSink::open(path);
  ASSERT_TRUE(sink) << sink.error().message;
  std::string expected;
  int lines = 0;
  // Until the pipe is full, and then some.
  for (int beyond = 0; beyond < 100; beyond += sink->blocked() ? 1 : 0) {
    const std::string line(997, static_cast<char>('a' + lines++ % 26));
    EXPECT_TRUE(sink->write(line)) << "a slow reader is no failure";
    expected += line + "\n";
  }
  std::string got;
  std::array<char, 777> buffer{};
  while (got.size() < expected.size()) {
    const ssize_t bytes = ::read(reader.get(), buffer.data(), buffer.size());
    if (bytes > 0) {
      got.append(buffer.data(), static_cast<std::size_t>(bytes));
    } else {
      ASSERT_TRUE(sink->blocked());
      ASSERT_TRUE(sink->retry());
    }
  }
  EXPECT_EQ(got, expected);
  EXPECT_FALSE(sink->blocked());
  EXPECT_EQ(sink->dropped(), 0);
}

TEST_F(AlertSinkTest, ABoundedQueueCountsWhatItDrops) {
  auto sink = AlertSink::open("/dev/full");
  ASSERT_TRUE(sink);
  for (std::size_t i = 0; i < AlertSink::kQueueLines + 7; i++) {
    const auto written = sink->write("line");
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, ::testing::HasSubstr("No space left on device"));
  }
  EXPECT_EQ(sink->dropped(), 7);
}

}  // namespace
}  // namespace hairpind
