// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/event_writer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <mutex>
#include <nlohmann/json.hpp>

#include "api_access.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::access_to;
using ::testing::AllOf;
using testing::ApiServer;
using ::testing::ElementsAre;
using testing::eventually;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr const char* kCreate = "create events";
constexpr const char* kPatch = "patch events";

KubernetesEvent event(const std::string& name, std::uint32_t count = 1) {
  KubernetesEvent event;
  event.name = name + ".187b0c5d3a1f2e60";
  event.object = {.api_version = "v1", .kind = "Pod", .namespace_name = "shop", .name = name, .uid = "uid-" + name};
  event.reason = "AsymmetricHairpin";
  event.message = "SYN from \"here\" to there \\n";
  event.first = WallTime(1764168758s + 239ms);
  event.last = event.first + std::chrono::seconds(count - 1);
  event.count = count;
  event.told_before = count > 1;
  return event;
}

class EventWriterTest : public ::testing::Test {
 protected:
  void SetUp() override { std::signal(SIGPIPE, SIG_IGN); }

  void start(const std::string& node = "n1") {
    writer = *EventWriter::start(access_to(server),
                                 {.node = node, .first_backoff = 5ms, .spread = 5ms, .longest_backoff = 20ms},
                                 [this](const std::string& why) {
                                   const std::scoped_lock lock(mutex);
                                   troubles.push_back(why);
                                 });
  }

  bool wait_for_counts(std::uint64_t written, std::uint64_t refused = 0, std::uint64_t lost = 0) const {
    return eventually([&] {
      const auto counts = writer->counts();
      return counts.written == written && counts.refused == refused && counts.lost == lost;
    });
  }
  std::vector<std::string> told_troubles() {
    const std::scoped_lock lock(mutex);
    return troubles;
  }

  ApiServer server;
  std::mutex mutex;
  std::vector<std::string> troubles;
  std::unique_ptr<EventWriter> writer;
};

TEST_F(EventWriterTest, AnEventIsAsClientsAndDescribeWantIt) {
  start();
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(1));
  ASSERT_THAT(server.objects("events"), SizeIs(1));
  Json stored = server.objects("events")[0];
  EXPECT_EQ(stored["metadata"]["name"], "web.187b0c5d3a1f2e60");
  EXPECT_EQ(stored["metadata"]["namespace"], "shop");
  EXPECT_EQ(stored["involvedObject"], Json::parse(R"({"apiVersion":"v1","kind":"Pod","namespace":"shop","name":"web",
                                                      "uid":"uid-web"})"));
  stored.erase("metadata");
  stored.erase("involvedObject");
  EXPECT_EQ(stored, Json::parse(R"({"reason":"AsymmetricHairpin","type":"Warning","count":1,
    "message":"SYN from \"here\" to there \\n","firstTimestamp":"2025-11-26T14:52:38Z",
    "lastTimestamp":"2025-11-26T14:52:38Z","source":{"component":"hairpind","host":"n1"},
    "reportingComponent":"hairpind","reportingInstance":"n1"})"));
  EXPECT_THAT(told_troubles(), IsEmpty());
}

TEST_F(EventWriterTest, AUidThatIsNotKnownIsAskedFor) {
  server.upsert("services", {{"metadata", {{"namespace", "shop"}, {"name", "api"}, {"uid", "uid-api"}}}});
  server.upsert("gateways", {{"metadata", {{"namespace", "shop"}, {"name", "edge"}, {"uid", "uid-gateway"}}}});
  server.upsert("ingresses", {{"metadata", {{"namespace", "shop"}, {"name", "edge"}, {"uid", "uid-ingress"}}}});
  start();
  const auto put = [&](std::string_view api_version, std::string_view kind, const std::string& name) {
    const auto before = writer->counts().written;
    // By name the last of those that are there.
    KubernetesEvent unknown = event(std::string(before + 1, 'z'));
    unknown.object = {.api_version = api_version, .kind = kind, .namespace_name = "shop", .name = name, .uid = ""};
    unknown.warning = false;
    writer->put(unknown);
    EXPECT_TRUE(wait_for_counts(before + 1));
    return server.objects("events").back();
  };
  const Json stored = put("v1", "Service", "api");
  EXPECT_EQ(stored["involvedObject"]["uid"], "uid-api");
  EXPECT_EQ(stored["type"], "Normal");
  EXPECT_EQ(put("gateway.networking.k8s.io/v1", "Gateway", "edge")["involvedObject"]["uid"], "uid-gateway");
  EXPECT_EQ(put("networking.k8s.io/v1", "Ingress", "edge")["involvedObject"]["uid"], "uid-ingress");
  // One that is gone, or may not be read, has none.
  EXPECT_FALSE(put("v1", "Service", "gone")["involvedObject"].contains("uid"));
  server.set_permissions({kCreate});
  EXPECT_FALSE(put("v1", "Service", "hidden")["involvedObject"].contains("uid"));
  EXPECT_THAT(told_troubles(), IsEmpty());
}

TEST_F(EventWriterTest, WhatWasToldBeforeIsChangedInItsPlace) {
  start();
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(1));
  KubernetesEvent next = event("web", 7);
  next.message = "the newest";
  writer->put(next);
  ASSERT_TRUE(wait_for_counts(2));
  EXPECT_THAT(server.requests(), ElementsAre(kCreate, kPatch));
  ASSERT_THAT(server.objects("events"), SizeIs(1));
  const Json stored = server.objects("events")[0];
  EXPECT_EQ(stored["count"], 7);
  EXPECT_EQ(stored["message"], "the newest");
  EXPECT_EQ(stored["firstTimestamp"], "2025-11-26T14:52:38Z");
  EXPECT_EQ(stored["lastTimestamp"], "2025-11-26T14:52:44Z");
  EXPECT_EQ(stored["reason"], "AsymmetricHairpin");
  // The server has forgotten it meanwhile: it is made anew, with all that was counted.
  EXPECT_TRUE(server.remove("events", "shop", "web.187b0c5d3a1f2e60"));
  writer->put(event("web", 8));
  ASSERT_TRUE(wait_for_counts(3));
  EXPECT_THAT(server.requests(), ElementsAre(kCreate, kPatch, kPatch, kCreate));
  EXPECT_EQ(server.objects("events").at(0)["count"], 8);
}

TEST_F(EventWriterTest, OneThatIsThereThoughNobodySaidSoIsChanged) {
  start();
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(1));
  KubernetesEvent again = event("web", 3);
  again.told_before = false;
  writer->put(again);
  ASSERT_TRUE(wait_for_counts(2));
  EXPECT_THAT(server.requests(), ElementsAre(kCreate, kCreate, kPatch));
  EXPECT_EQ(server.objects("events").at(0)["count"], 3);
}

TEST_F(EventWriterTest, ARefusalIsSaidOnceAndNotAskedForAgainInItsNamespace) {
  server.set_permissions({"list pods"});
  start();
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(0, 1));
  writer->put(event("cart"));
  ASSERT_TRUE(wait_for_counts(0, 2));
  EXPECT_EQ(server.count_of(kCreate), 1);
  KubernetesEvent elsewhere = event("job");
  elsewhere.object.namespace_name = "night";
  writer->put(elsewhere);
  ASSERT_TRUE(wait_for_counts(0, 3));
  EXPECT_EQ(server.count_of(kCreate), 2) << "a role may be bound in some namespaces alone";
  EXPECT_THAT(
      told_troubles(),
      ElementsAre(AllOf(HasSubstr("cannot create resource \"events\" in API group \"\" in the namespace \"shop\""),
                        HasSubstr("the ClusterRole must allow create and patch on events"))));
  server.set_permissions({kCreate, kPatch});
  writer->put(event("late"));
  ASSERT_TRUE(wait_for_counts(0, 4));
  EXPECT_EQ(server.count_of(kCreate), 2);
}

TEST_F(EventWriterTest, TheRightToPatchIsNeededToo) {
  server.set_permissions({kCreate});
  start();
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(1));
  writer->put(event("web", 2));
  ASSERT_TRUE(wait_for_counts(1, 1));
  EXPECT_THAT(told_troubles(), ElementsAre(HasSubstr("cannot patch resource \"events\"")));
}

TEST_F(EventWriterTest, WhatTheServerDoesNotTakeIsLeftOutAndTheRestGoesOn) {
  start();
  server.upsert("namespaces", {{"metadata", {{"name", "shop"}}}});
  KubernetesEvent gone = event("job");
  gone.object.namespace_name = "deleted";
  writer->put(gone);
  ASSERT_TRUE(wait_for_counts(0, 1));
  EXPECT_THAT(told_troubles(), IsEmpty()) << "a namespace that has gone is no trouble";
  server.fail_next(1, 422, 0, kCreate);
  writer->put(event("odd"));
  ASSERT_TRUE(wait_for_counts(0, 2));
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(1, 2));
  EXPECT_THAT(told_troubles(), ElementsAre(HasSubstr("422")));
}

TEST_F(EventWriterTest, AServerThatFailsIsAskedAgain) {
  server.fail_next(3, 503, 0, kCreate);
  start();
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(1));
  EXPECT_EQ(server.count_of(kCreate), 4);
  EXPECT_THAT(told_troubles(), ElementsAre(HasSubstr("503"), ""));
}

TEST_F(EventWriterTest, OneThatFailsAlwaysHoldsNobodyUpAndIsGivenUp) {
  server.fail_next(11, 500, 0, kCreate);
  start();
  writer->put(event("web"));
  ASSERT_TRUE(eventually([&] { return server.count_of(kCreate) >= 1; }));
  writer->put(event("cart"));
  ASSERT_TRUE(eventually([&] {
    const auto counts = writer->counts();
    return counts.written + counts.lost == 2;
  }));
  EXPECT_GE(writer->counts().written, 1);
  const auto said = told_troubles();
  EXPECT_LE(said.size(), 3) << "not once for each try";
}

TEST_F(EventWriterTest, WhileTheServerIsAwayTheNewestWait) {
  server.set_faults({.drop_connections = true});
  start();
  constexpr int kMost = EventWriter::kMostWaiting;
  for (int i = 0; i < kMost + 20; i++) {
    writer->put(event("p" + std::to_string(i)));
  }
  // A newer one takes the place of one that waits.
  writer->put(event("p" + std::to_string(kMost + 19), 9));
  ASSERT_TRUE(eventually([&] { return writer->counts().lost >= 19 && told_troubles().size() == 1; }));
  server.set_faults({});
  ASSERT_TRUE(eventually([&] {
    const auto counts = writer->counts();
    return counts.written + counts.lost == kMost + 20;
  }));
  EXPECT_LE(writer->counts().lost, 20);
  const auto stored = server.objects("events");
  EXPECT_GE(stored.size(), kMost);
  EXPECT_TRUE(std::ranges::any_of(stored, [](const Json& each) { return each["count"] == 9; }));
  EXPECT_THAT(told_troubles(), ElementsAre(HasSubstr("API server"), ""));
}

TEST_F(EventWriterTest, PuttingNeverWaitsAndLeavingNotForASilentServer) {
  server.set_faults({.stall_requests = true});
  start();
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; i++) {
    writer->put(event("p" + std::to_string(i)));
  }
  ASSERT_TRUE(eventually([&] { return server.count_of(kCreate) == 1; }));
  writer.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 10s);
}

TEST_F(EventWriterTest, ANodesNameThatIsNoTextCostsNoEvent) {
  start("n\xff");
  writer->put(event("web"));
  ASSERT_TRUE(wait_for_counts(1));
  EXPECT_EQ(server.objects("events").at(0)["source"]["host"], "n\xef\xbf\xbd");
}

}  // namespace
}  // namespace hairpind
