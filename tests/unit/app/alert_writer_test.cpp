// SPDX-License-Identifier: Apache-2.0
#include "alert_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <filesystem>

namespace hairpind {
namespace {

std::unique_ptr<AlertWriter> writer_to(const std::string& path) {
  auto sink = AlertSink::open(path);
  EXPECT_TRUE(sink);
  return std::make_unique<AlertWriter>(*std::move(sink), path);
}

Alert alert(AlertEvent event = AlertEvent::kAsymmetricHandshake) {
  Alert result;
  result.event = event;
  return result;
}

TEST(AlertWriter, CountsWhatIsOutAndNotWhatIsLost) {
  const auto writer = writer_to("/dev/full");
  for (std::size_t i = 0; i < AlertSink::kQueueLines + 5; i++) {
    writer->write(alert());
  }
  EXPECT_TRUE(writer->written().empty()) << "none of them can be read anywhere";
  EXPECT_EQ(writer->waiting(), AlertSink::kQueueLines);
  EXPECT_EQ(writer->dropped(), 5);
}

TEST(AlertWriter, AnAlertCountsWhenItsLineIsOut) {
  std::string directory = "/tmp/hairpind-writer-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string fifo = directory + "/fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const FileDescriptor reader(open(fifo.c_str(), O_RDONLY | O_NONBLOCK));
  const auto writer = writer_to(fifo);
  writer->write(alert(AlertEvent::kHairpinExposure));
  EXPECT_EQ(writer->written().at(AlertEvent::kHairpinExposure), 1);
  std::uint64_t told = 0;
  while (!writer->retry()) {
    writer->write(alert());
    told++;
  }
  EXPECT_EQ(writer->written().at(AlertEvent::kAsymmetricHandshake), told - writer->waiting());
  EXPECT_GT(writer->waiting(), 0);
  std::array<char, 65536> buffer{};
  while (writer->waiting() != 0) {
    ASSERT_GT(read(reader.get(), buffer.data(), buffer.size()), 0);
    writer->retry();
  }
  EXPECT_EQ(writer->written().at(AlertEvent::kAsymmetricHandshake), told);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace hairpind
