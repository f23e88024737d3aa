// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cilium_identity_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "api_access.hpp"
#include "hairpind/kube/objects.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::access_to;
using testing::ApiServer;
using ::testing::Each;
using ::testing::ElementsAre;
using testing::eventually;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr const char* kGet = "get ciliumidentities.cilium.io";

Json identity(const std::string& name, const Json& labels) {
  return {{"metadata", {{"name", name}}}, {"security-labels", labels}};
}

class CiliumIdentityReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    server.upsert("ciliumidentities", identity("12345", {{"k8s:app", "web"}, {"k8s:zone", ""}}));
    server.upsert("ciliumidentities", identity("54321", {{"k8s:app", "api"}}));
    reader = *CiliumIdentityReader::start(access_to(server));
  }

  ApiServer server;
  std::unique_ptr<CiliumIdentityReader> reader;
};

TEST_F(CiliumIdentityReaderTest, TellsWhatTheServerHas) {
  reader->ask(777);  // there is none
  reader->ask(12345);
  std::map<std::uint32_t, std::vector<std::string>> told;
  ASSERT_TRUE(eventually([&] { return !(told = reader->take()).empty(); }));
  EXPECT_THAT(told, ElementsAre(Pair(12345, ElementsAre("k8s:app=web", "k8s:zone"))));
  EXPECT_THAT(reader->take(), IsEmpty());
  EXPECT_EQ(server.count_of(kGet), 2) << "one by one, and never the whole collection";
  EXPECT_THAT(server.requests(), Each(kGet));
}

TEST_F(CiliumIdentityReaderTest, AServerThatRefusesIsLeftAlone) {
  server.set_permissions({"list pods"});
  reader->ask(12345);
  ASSERT_TRUE(eventually([&] { return server.count_of(kGet) == 1; }));
  server.set_permissions({kGet});
  // What is asked before the refusal has come may still be; nothing after it.
  for (int i = 0; i < 50; i++) {
    std::this_thread::sleep_for(2ms);
    reader->ask(54321);
  }
  EXPECT_LE(server.count_of(kGet), 1 + CiliumIdentityReader::kMostWaiting);
  const std::size_t asked = server.count_of(kGet);
  reader->ask(54321);
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(server.count_of(kGet), asked);
}

TEST_F(CiliumIdentityReaderTest, AClusterWithoutCiliumHasNone) {
  server.set_faults({.without_cilium = true});
  reader->ask(12345);
  ASSERT_TRUE(eventually([&] { return server.count_of(kGet) == 1; }));
  server.set_faults({});
  reader->ask(54321);
  std::map<std::uint32_t, std::vector<std::string>> told;
  ASSERT_TRUE(eventually([&] { return !(told = reader->take()).empty(); })) << "the next is asked about all the same";
  EXPECT_THAT(told, ElementsAre(Pair(54321, ElementsAre("k8s:app=api"))));
}

TEST_F(CiliumIdentityReaderTest, AnAnswerWithoutEndIsNotKept) {
  server.set_faults({.endless_status = 200});
  reader->ask(12345);
  ASSERT_TRUE(eventually([&] { return server.count_of(kGet) == 1; }));
  server.set_faults({});
  std::map<std::uint32_t, std::vector<std::string>> told;
  reader->ask(54321);
  ASSERT_TRUE(eventually([&] { return !(told = reader->take()).empty(); }));
  EXPECT_THAT(told, ElementsAre(Pair(54321, ElementsAre("k8s:app=api"))));
}

TEST_F(CiliumIdentityReaderTest, NobodyWaitsForAServerThatStalls) {
  server.set_faults({.stall_requests = true});
  for (std::uint32_t i = 0; i < 1000; i++) {
    reader->ask(1000 + i);
  }
  ASSERT_TRUE(eventually([&] { return server.count_of(kGet) == 1; }));
  server.set_faults({});
  EXPECT_TRUE(eventually([&] { return server.count_of(kGet) >= CiliumIdentityReader::kMostWaiting; }));
  EXPECT_LE(server.count_of(kGet), CiliumIdentityReader::kMostWaiting + 1) << "the others are forgotten";
}

TEST(CiliumIdentityTest, IsCutToWhatATrueOneHas) {
  Json labels = Json::object();
  for (int i = 0; i < 1000; i++) {
    labels["k8s:l" + std::to_string(i)] = "x";
  }
  EXPECT_THAT(parse_cilium_identity(identity("1", labels)), SizeIs(32));
  EXPECT_THAT(parse_cilium_identity(identity("1", {{"k8s:long", std::string(5000, 'a')}})), IsEmpty());
  EXPECT_THAT(parse_cilium_identity(identity("1", {{"k8s:long", std::string(1000, 'a')}})),
              ElementsAre("k8s:long=" + std::string(388, 'a') + "..."));
  EXPECT_THAT(parse_cilium_identity(identity("1", {{"k8s:app", "\x1b[31m\n"}})), ElementsAre("k8s:app=\\x1b[31m\\n"));
  for (const Json& wrong : {Json(), Json(7), Json::object(), identity("1", 7), identity("1", {{"k8s:app", 7}})}) {
    EXPECT_THAT(parse_cilium_identity(wrong), IsEmpty()) << wrong;
  }
}

}  // namespace
}  // namespace hairpind
