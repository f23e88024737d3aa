// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/alert_sink.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "take_back.hpp"

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

// Lines longer than what a pipe takes whole are cut where it is full.
TEST_F(AlertSinkTest, TheNewFileGetsTheLineWholeThatTheOldOneGotInPart) {
  const std::string path = directory + "/alerts";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const FileDescriptor reader(open(path.c_str(), O_RDONLY | O_NONBLOCK));
  auto sink = AlertSink::open(path);
  ASSERT_TRUE(sink);
  const std::string line(100000, 'x');
  ASSERT_TRUE(sink->write(line));
  ASSERT_TRUE(sink->blocked()) << "the pipe takes 64 KiB of it";
  std::filesystem::rename(path, path + ".1");
  EXPECT_TRUE(sink->reopen());
  EXPECT_EQ(read(path), line + "\n");
  EXPECT_EQ(sink->queued(), 0);
}

TEST_F(AlertSinkTest, ATornLineIsTakenBackUnlessSomebodyElseHasAppended) {
  const std::string path = directory + "/alerts";
  const auto open_file = [&] { return FileDescriptor(open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT, 0600)); };
  const FileDescriptor ours = open_file();
  const FileDescriptor others = open_file();
  ASSERT_EQ(write(ours.get(), "whole\nto", 8), 8);
  EXPECT_TRUE(take_back(ours.get(), 2));
  EXPECT_EQ(read(path), "whole\n");
  ASSERT_EQ(write(ours.get(), "to", 2), 2);
  ASSERT_EQ(write(others.get(), "theirs\n", 7), 7);
  EXPECT_FALSE(take_back(ours.get(), 2));
  EXPECT_EQ(read(path), "whole\ntotheirs\n");
}

/// Stdout replaced for a while. gtest must not write meanwhile: expectations come after.
class StdoutReplaced {
 public:
  explicit StdoutReplaced(int fd) : before_(dup(STDOUT_FILENO)) {
    std::fflush(stdout);
    dup2(fd, STDOUT_FILENO);
  }
  ~StdoutReplaced() { dup2(before_.get(), STDOUT_FILENO); }
  StdoutReplaced(const StdoutReplaced&) = delete;
  StdoutReplaced& operator=(const StdoutReplaced&) = delete;

 private:
  FileDescriptor before_;
};

/// Whoever reads the alert stream: two ends, of which the writer's becomes stdout.
struct Stream {
  const char* name;
  void (*open)(std::array<int, 2>& ends);  ///< reader, writer
};

class AlertSinkStdoutTest : public AlertSinkTest, public ::testing::WithParamInterface<Stream> {};

// The shell's description stays as it is, and nobody is waited for: a write that blocks would hang this test.
TEST_P(AlertSinkStdoutTest, AReaderThatSleepsBlocksNothing) {
  std::array<int, 2> ends{-1, -1};
  GetParam().open(ends);
  const FileDescriptor reader(ends[0]);
  const FileDescriptor writer(ends[1]);
  const int flags = fcntl(writer.get(), F_GETFL);
  std::size_t lines = 0;
  bool blocked = false;
  bool failed = false;
  {
    const StdoutReplaced replaced(writer.get());
    auto sink = AlertSink::open("-");
    failed = !sink;
    while (!failed && !blocked && lines < 100000) {
      failed = !sink->write(std::string(499, 'a'));
      lines++;
      blocked = sink->blocked();
    }
    const std::size_t queued = blocked ? sink->queued() : 0;
    std::array<char, 4096> buffer{};
    while (!failed && sink->queued() == queued && queued != 0) {
      failed = ::read(reader.get(), buffer.data(), buffer.size()) <= 0 || !sink->retry();
    }
  }
  EXPECT_FALSE(failed);
  EXPECT_TRUE(blocked);
  EXPECT_EQ(fcntl(writer.get(), F_GETFL), flags);
}

INSTANTIATE_TEST_SUITE_P(Stdout, AlertSinkStdoutTest,
                         ::testing::Values(Stream{"Pipe", [](auto& ends) { ASSERT_EQ(pipe(ends.data()), 0); }},
                                           Stream{"Socket",
                                                  [](auto& ends) {
                                                    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
                                                  }},
                                           Stream{"Terminal",
                                                  [](auto& ends) {
                                                    ends[0] = posix_openpt(O_RDWR | O_NOCTTY);
                                                    ASSERT_EQ(grantpt(ends[0]) | unlockpt(ends[0]), 0);
                                                    ends[1] = open(ptsname(ends[0]), O_WRONLY | O_NOCTTY);
                                                  }}),
                         [](const auto& test) { return test.param.name; });

TEST_F(AlertSinkTest, StdoutIsAFile) {
  const std::string path = directory + "/stdout";
  const FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT, 0600));
  {
    const StdoutReplaced replaced(file.get());
    auto sink = AlertSink::open("-");
    static_cast<void>(sink && sink->write("one") && sink->write("two"));
  }
  EXPECT_EQ(read(path), "one\ntwo\n");
}

TEST_F(AlertSinkTest, AStdoutThatCannotBeWrittenToIsRefused) {
  const FileDescriptor null(open("/dev/null", O_RDONLY));
  bool refused = false;
  {
    const StdoutReplaced replaced(null.get());
    refused = !AlertSink::open("-");
  }
  EXPECT_TRUE(refused);
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
