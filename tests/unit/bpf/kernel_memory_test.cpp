// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/kernel_memory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace hairpind {
namespace {

namespace fs = std::filesystem;

class MemoryLimitTest : public ::testing::Test {
 protected:
  void TearDown() override { fs::remove_all(root); }

  void write(const std::string& file, const std::string& text) const {
    fs::create_directories(fs::path(root + file).parent_path());
    std::ofstream(root + file) << text << "\n";
  }

  const std::string root = "/tmp/hairpind-cgroup-" + std::to_string(getpid());
};

TEST_F(MemoryLimitTest, IsTheLowestOfTheGroupAndThoseAboveIt) {
  write("/kubepods/pod1/agent/memory.max", "max");
  write("/kubepods/pod1/memory.max", "67108864");
  write("/kubepods/memory.max", "8000000000");
  const auto limit = memory_limit("0::/kubepods/pod1/agent\n", root);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->bytes, 67108864);
  EXPECT_EQ(limit->file, root + "/kubepods/pod1/memory.max");
}

TEST_F(MemoryLimitTest, IsTheRootsInAContainer) {
  write("/memory.max", "67108864");
  EXPECT_EQ(memory_limit("0::/\n", root).value_or(MemoryLimit{}).bytes, 67108864);
  EXPECT_EQ(memory_limit("0::/../../other\n", root).value_or(MemoryLimit{}).bytes, 67108864);
}

TEST_F(MemoryLimitTest, IsReadOfTheFirstVersionToo) {
  write("/memory/pod1/memory.limit_in_bytes", "67108864");
  write("/memory/memory.limit_in_bytes", "9223372036854771712");
  const auto limit = memory_limit("9:name=systemd:/\n4:memory:/pod1\n0::/\n", root);
  ASSERT_TRUE(limit);
  EXPECT_EQ(limit->bytes, 67108864);
}

TEST_F(MemoryLimitTest, IsNoneWhereNothingLimits) {
  write("/memory/memory.limit_in_bytes", "9223372036854771712");
  write("/a/memory.max", "max");
  EXPECT_FALSE(memory_limit("4:memory:/\n0::/a\n", root));
  EXPECT_FALSE(memory_limit("", root));
  EXPECT_FALSE(memory_limit("nonsense\n::\n", root));
}

TEST(KernelMemory, IsSaidBesideItsLimit) {
  const KernelMemory memory{.now = 21U << 20U, .full = 33U << 20U};
  EXPECT_EQ(describe(memory, std::nullopt), "kernel memory: tables 21.0 MiB, 33.0 MiB when full; no limit");
  const MemoryLimit small{.bytes = 64U << 20U, .file = "/f"};
  EXPECT_EQ(describe(memory, small), "kernel memory: tables 21.0 MiB, 33.0 MiB when full; limit 64.0 MiB (/f)");
  EXPECT_TRUE(may_fall_short(memory, small));
  EXPECT_FALSE(may_fall_short(memory, MemoryLimit{.bytes = 128U << 20U, .file = "/f"}));
  EXPECT_FALSE(may_fall_short(memory, std::nullopt));
}

TEST(KernelMemory, OfAnEntryIsASlabsPiece) {
  EXPECT_EQ(map_element_memory(20, 8), 96);
  EXPECT_EQ(map_element_memory(4, 8), 64);
  EXPECT_EQ(map_element_memory(60, 1000), 1112);
}

TEST(KernelMemory, OfWhatIsNoMapIsNone) {
  EXPECT_EQ(map_memory(0), 0);
  EXPECT_EQ(map_memory(-1), 0);
}

TEST(Mebibytes, AreRead) {
  EXPECT_EQ(mebibytes(0), "0.0 MiB");
  EXPECT_EQ(mebibytes(20'447'232), "19.5 MiB");
}

}  // namespace
}  // namespace hairpind
