// SPDX-License-Identifier: Apache-2.0
#include "hairpind/output/alert_sink.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "take_back.hpp"

namespace hairpind {
namespace {

constexpr auto kSighting = AlertEvent::kAsymmetricHandshake;
constexpr auto kRepeat = AlertEvent::kAsymmetricHandshakeRepeated;

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

/// A pipe, and who reads it a line at a time.
class SlowReader {
 public:
  explicit SlowReader(const std::string& path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0);
    pipe_ = FileDescriptor(open(path.c_str(), O_RDONLY | O_NONBLOCK));
  }

  /// Empty when there is none.
  std::string read_line() {
    std::string line;
    char byte = 0;
    while (::read(pipe_.get(), &byte, 1) == 1 && byte != '\n') {
      line += byte;
    }
    return line;
  }

 private:
  FileDescriptor pipe_;
};

TEST_F(AlertSinkTest, AppendsWholeLines) {
  const std::string path = directory + "/alerts";
  std::ofstream(path) << "older\n";
  auto sink = AlertSink::open(path);
  ASSERT_TRUE(sink);
  EXPECT_TRUE(sink->write(kSighting, "one"));
  EXPECT_TRUE(sink->write(kSighting, "two"));
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
  EXPECT_TRUE(sink->write(kSighting, "one"));
  std::filesystem::rename(path, path + ".1");
  EXPECT_TRUE(sink->write(kSighting, "two"));
  EXPECT_TRUE(sink->reopen());
  EXPECT_TRUE(sink->write(kSighting, "three"));
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
  EXPECT_TRUE(sink->write(kSighting, "still"));
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
    EXPECT_TRUE(sink->write(kSighting, line)) << "a slow reader is no failure";
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

// The pipe has room for 64 of these lines.
TEST_F(AlertSinkTest, AFirstSightingDoesNotQueueBehindRepeats) {
  SlowReader reader(directory + "/fifo");
  auto sink = AlertSink::open(directory + "/fifo");
  ASSERT_TRUE(sink);
  const std::string exposure(999, 'e');
  std::set<std::string> expected;
  for (int i = 100; i < 300; i++) {
    const std::string line = "repeat " + std::to_string(i) + std::string(989, '.');
    ASSERT_TRUE(sink->write(kRepeat, line));
    expected.insert(line);
  }
  ASSERT_GT(sink->queued(), 190);
  ASSERT_TRUE(sink->write(AlertEvent::kHairpinExposure, exposure));
  ASSERT_TRUE(sink->write(kSighting, "first"));
  ASSERT_TRUE(sink->write(kSighting, "second"));
  std::vector<std::string> read;
  while (sink->queued() != 0 || read.empty() || !read.back().empty()) {
    read.push_back(reader.read_line());
    ASSERT_TRUE(sink->retry());
  }
  read.pop_back();
  const auto first = std::ranges::find(read, "first");
  ASSERT_NE(first, read.end());
  EXPECT_LE(first - read.begin(), PIPE_BUF / 1000) << "what the pipe had already";
  EXPECT_EQ(*(first + 1), "second");
  EXPECT_EQ(*(first + 2), exposure);
  read.erase(first, first + 3);
  EXPECT_TRUE(std::ranges::is_sorted(read)) << "repeats stay in their order, and whole";
  EXPECT_EQ(std::set(read.begin(), read.end()), expected);
  EXPECT_EQ(sink->dropped(), 0);
  EXPECT_EQ(sink->written(),
            (std::map<AlertEvent, std::uint64_t>{{kSighting, 2}, {AlertEvent::kHairpinExposure, 1}, {kRepeat, 200}}));
}

// Who leaves has nothing to tell that is more urgent.
TEST_F(AlertSinkTest, InTheEndThePipeMayBeFilled) {
  const SlowReader reader(directory + "/fifo");
  auto sink = AlertSink::open(directory + "/fifo");
  ASSERT_TRUE(sink);
  for (int i = 0; i < 50; i++) {
    ASSERT_TRUE(sink->write(kRepeat, std::string(999, 'r')));
  }
  EXPECT_TRUE(sink->blocked());
  EXPECT_GT(sink->queued(), 40);
  ASSERT_TRUE(sink->finish());
  EXPECT_EQ(sink->queued(), 0);
}

TEST_F(AlertSinkTest, NothingComesBetweenTheHalvesOfALine) {
  SlowReader reader(directory + "/fifo");
  auto sink = AlertSink::open(directory + "/fifo");
  ASSERT_TRUE(sink);
  const std::string line(100000, 'x');
  ASSERT_TRUE(sink->write(kRepeat, line));
  ASSERT_TRUE(sink->write(kRepeat, "another"));
  ASSERT_TRUE(sink->blocked());
  ASSERT_TRUE(sink->write(kSighting, "first"));
  std::string got = reader.read_line();
  ASSERT_TRUE(sink->retry());
  got += reader.read_line();
  EXPECT_EQ(got, line);
  EXPECT_EQ(reader.read_line(), "first");
  ASSERT_TRUE(sink->retry());
  EXPECT_EQ(reader.read_line(), "another");
}

// Lines longer than what a pipe takes whole are cut where it is full.
TEST_F(AlertSinkTest, TheNewFileGetsTheLineWholeThatTheOldOneGotInPart) {
  const std::string path = directory + "/alerts";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const FileDescriptor reader(open(path.c_str(), O_RDONLY | O_NONBLOCK));
  auto sink = AlertSink::open(path);
  ASSERT_TRUE(sink);
  const std::string line(100000, 'x');
  ASSERT_TRUE(sink->write(kSighting, line));
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
      failed = !sink->write(kSighting, std::string(499, 'a'));
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
    static_cast<void>(sink && sink->write(kSighting, "one") && sink->write(kSighting, "two"));
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
    const auto written = sink->write(kSighting, "line");
    ASSERT_FALSE(written);
    EXPECT_THAT(written.error().message, ::testing::HasSubstr("No space left on device"));
  }
  EXPECT_EQ(sink->dropped(), 7);
}

TEST_F(AlertSinkTest, WhereThereIsNoRoomARepeatGoes) {
  SlowReader reader(directory + "/fifo");
  auto sink = AlertSink::open(directory + "/fifo");
  ASSERT_TRUE(sink);
  std::uint64_t sightings = 10;
  for (; !sink->blocked(); sightings++) {
    ASSERT_TRUE(sink->write(kSighting, "sighting"));
  }
  while (sink->dropped() == 0) {
    ASSERT_TRUE(sink->write(kRepeat, "repeat"));
  }
  EXPECT_EQ(sink->queued(), AlertSink::kQueueLines);
  for (int i = 0; i < 10; i++) {
    ASSERT_TRUE(sink->write(kSighting, "sighting"));
  }
  EXPECT_EQ(sink->dropped(), 11);
  EXPECT_EQ(sink->queued(), AlertSink::kQueueLines);
  while (!reader.read_line().empty()) {
    ASSERT_TRUE(sink->retry());
  }
  EXPECT_EQ(sink->written().at(kSighting), sightings);
}

}  // namespace
}  // namespace hairpind
