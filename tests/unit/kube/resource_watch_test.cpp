// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/resource_watch.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <csignal>
#include <iterator>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "api_access.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::access_to;
using testing::ApiServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string name_of(const Json& object) {
  return object["metadata"]["name"].get<std::string>();
}

class ResourceWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    options.collection = {.path = "/api/v1/pods", .field_selector = ""};
    options.first_backoff = 5ms;
    options.longest_backoff = 50ms;
    options.spread = 0ms;
  }

  void start(ApiServer& server) {
    const ClusterAccess access = access_to(server);
    const auto locked = [this](auto change) {
      const std::scoped_lock lock(mutex);
      change();
      changed.notify_all();
    };
    watch = std::make_unique<ResourceWatch>(
        options, *ApiClient::create(access),
        ResourceWatch::Handlers{
            .list_begun = [=, this] { locked([&] { listing.clear(); }); },
            .upserted =
                [=, this](const Json& object) {
                  locked([&] {
                    if (object.is_null()) {
                      passed_over++;
                      return;
                    }
                    names.insert(name_of(object));
                    listing.insert(name_of(object));
                  });
                },
            .deleted = [=, this](const Json& object) { locked([&] { names.erase(name_of(object)); }); },
            .list_ended = [=, this] { locked([&] { names = listing; }); },
            .state =
                [=, this](bool is_synced, const std::string& why) {
                  locked([&] {
                    synced = is_synced;
                    if (!is_synced) {
                      troubles.push_back(why);
                    }
                  });
                }});
  }

  static void put(ApiServer& server, const std::string& name) {
    server.upsert("pods", {{"metadata", {{"name", name}}}});
  }

  template <typename Condition>
  bool wait_until(Condition condition) {
    std::unique_lock lock(mutex);
    // What the server counts changes without a word here.
    for (int i = 0; i < 6000; i++) {
      if (condition()) {
        return true;
      }
      changed.wait_for(lock, 10ms);
    }
    return false;
  }
  bool wait_for_names(const std::set<std::string>& expected) {
    return wait_until([&] { return synced && names == expected; });
  }

  std::vector<std::string> told_troubles() {
    const std::scoped_lock lock(mutex);
    return troubles;
  }

  ResourceWatch::Options options;
  std::mutex mutex;
  std::condition_variable changed;
  std::set<std::string> names;
  std::set<std::string> listing;
  bool synced = false;
  int passed_over = 0;
  std::vector<std::string> troubles;
  std::unique_ptr<ResourceWatch> watch;
};

TEST_F(ResourceWatchTest, ListsFromTheCacheAndFollowsWhatChanges) {
  ApiServer server;
  put(server, "a");
  start(server);
  ASSERT_TRUE(wait_for_names({"a"}));
  put(server, "b");
  ASSERT_TRUE(wait_for_names({"a", "b"}));
  server.remove("pods", "default", "a");
  EXPECT_TRUE(wait_for_names({"b"}));
  EXPECT_THAT(server.targets()[0], HasSubstr("resourceVersion=0"));
  EXPECT_EQ(server.count_of("list pods"), 1);
  EXPECT_EQ(server.count_of("watch pods"), 1);
}

TEST_F(ResourceWatchTest, AKindThatNeedNotBeThereIsAskedForSeldomWhileItIsNot) {
  ApiServer server;
  server.set_faults({.without_gateways = true});
  options.collection.path = "/apis/gateway.networking.k8s.io/v1/gateways";
  options.absent_pause = 300ms;
  start(server);
  ASSERT_TRUE(wait_for_names({})) << "in step with nothing";
  std::this_thread::sleep_for(100ms);
  EXPECT_EQ(server.count_of("list gateways.gateway.networking.k8s.io"), 1);
  server.upsert("gateways", {{"metadata", {{"name", "a"}}}});
  server.set_faults({});
  ASSERT_TRUE(wait_for_names({"a"}));
  // What went with its kind is gone.
  server.set_faults({.without_gateways = true});
  server.close_watches();
  EXPECT_TRUE(wait_for_names({}));
  server.set_faults({});
  ASSERT_TRUE(wait_for_names({"a"}));
  EXPECT_THAT(told_troubles(), ::testing::Not(::testing::Contains(HasSubstr("404"))));
}

TEST_F(ResourceWatchTest, AVersionThatIsGoneIsAnsweredByANewListOfTheNewest) {
  ApiServer server;
  put(server, "a");
  start(server);
  ASSERT_TRUE(wait_for_names({"a"}));
  server.fail_next(1, 410, 0, "watch pods");
  server.remove("pods", "default", "a");
  put(server, "b");
  server.close_watches();
  EXPECT_TRUE(wait_until([&] { return server.count_of("list pods") == 2; }));
  EXPECT_TRUE(wait_for_names({"b"}));
  for (const std::string& target : server.targets()) {
    if (target.find("watch=1") == std::string::npos && target != server.targets()[0]) {
      EXPECT_EQ(target.find("resourceVersion"), std::string::npos) << target;
    }
  }
}

TEST_F(ResourceWatchTest, AListNeverGoesBackBehindWhatWasTold) {
  ApiServer server;
  put(server, "a");
  start(server);
  ASSERT_TRUE(wait_for_names({"a"}));
  const auto version = server.resource_version();
  server.send_line("no JSON");
  EXPECT_TRUE(wait_until([&] { return server.count_of("list pods") == 2; }));
  EXPECT_TRUE(wait_for_names({"a"}));
  EXPECT_THAT(told_troubles(), ::testing::Contains(HasSubstr("no event")));
  std::vector<std::string> lists;
  for (const std::string& target : server.targets()) {
    if (target.find("watch=1") == std::string::npos) {
      lists.push_back(target);
    }
  }
  ASSERT_EQ(lists.size(), 2);
  EXPECT_THAT(lists[1], HasSubstr("resourceVersion=" + std::to_string(version)));
}

TEST_F(ResourceWatchTest, AServerThatKnowsNoSuchVersionIsAskedForItsNewest) {
  for (const int status : {410, 504}) {
    ApiServer server;
    put(server, "a");
    start(server);
    ASSERT_TRUE(wait_for_names({"a"}));
    server.fail_next(1, status, 0, "list pods");
    server.send_line("no JSON");
    EXPECT_TRUE(wait_until([&] { return server.count_of("list pods") == 3; }));
    EXPECT_TRUE(wait_for_names({"a"}));
    std::vector<std::string> lists;
    std::ranges::copy_if(server.targets(), std::back_inserter(lists),
                         [](const std::string& target) { return !target.contains("watch=1"); });
    ASSERT_EQ(lists.size(), 3);
    EXPECT_THAT(lists[1], HasSubstr("resourceVersion="));
    EXPECT_THAT(lists[2], ::testing::Not(HasSubstr("resourceVersion="))) << status;
    watch.reset();
  }
}

TEST_F(ResourceWatchTest, AWatchThatSaysNothingIsBegunAgain) {
  ApiServer server;
  options.silence = 200ms;
  start(server);
  ASSERT_TRUE(wait_for_names({}));
  server.set_faults({.stall_watches = true});
  EXPECT_TRUE(wait_until([&] { return server.count_of("watch pods") >= 3; }));
  EXPECT_THAT(told_troubles(), ::testing::Contains(HasSubstr("timed out")));
  put(server, "a");
  server.set_faults({});
  EXPECT_TRUE(wait_for_names({"a"}));
}

TEST_F(ResourceWatchTest, OneFailureIsAMomentAndNoMore) {
  ApiServer server;
  server.fail_next(1, 500, 0, "list pods");
  options.spread = options.longest_backoff = 1h;
  start(server);
  EXPECT_TRUE(wait_for_names({}));
}

// All agents' watches end with their server, and must not all come back at once.
TEST_F(ResourceWatchTest, AWatchThatEndsBeforeItsTimeIsBegunAgainSomewhenInTheSpread) {
  for (const auto end : {ApiServer::End::kClean, ApiServer::End::kBroken}) {
    ApiServer server;
    options.spread = 100ms;
    start(server);
    ASSERT_TRUE(wait_for_names({}));
    constexpr std::size_t kEnds = 20;
    const auto begun = std::chrono::steady_clock::now();
    for (std::size_t i = 1; i <= kEnds; i++) {
      ASSERT_TRUE(wait_until([&] { return server.open_watches() == 1 && server.count_of("watch pods") == i; }));
      server.close_watches("", end);
    }
    // A second, on average; less than two fifths of it once in a million.
    EXPECT_GE(std::chrono::steady_clock::now() - begun, 400ms);
    watch.reset();
  }
}

TEST_F(ResourceWatchTest, AWatchThatEndsWhenItWasAskedToGoesOnAtOnce) {
  ApiServer server;
  options.spread = 1h;
  options.longest_watch = 3s;
  start(server);
  ASSERT_TRUE(wait_for_names({}));
  EXPECT_TRUE(wait_until([&] { return server.count_of("watch pods") >= 3; }));
  EXPECT_THAT(server.targets().back(), ::testing::ContainsRegex("timeoutSeconds=[23]&"));
  EXPECT_THAT(told_troubles(), ::testing::IsEmpty());
}

TEST_F(ResourceWatchTest, ABookmarkIsWhereTheNextWatchGoesOn) {
  ApiServer server({.bookmark_interval = 20ms});
  start(server);
  ASSERT_TRUE(wait_for_names({}));
  // Something else in the cluster changes, and long ago is forgotten.
  for (int i = 0; i < 5; i++) {
    server.upsert("nodes", {{"metadata", {{"name", "n" + std::to_string(i)}}}});
  }
  const std::string version = std::to_string(server.resource_version());
  int looks = 0;
  ASSERT_TRUE(wait_until([&] {
    // Long enough for a bookmark.
    if (++looks % 30 == 0) {
      server.close_watches();
    }
    return server.targets().back().find("resourceVersion=" + version) != std::string::npos;
  })) << server.targets().back();
  EXPECT_EQ(server.count_of("list pods"), 1);
}

TEST_F(ResourceWatchTest, WhereASelectorIsRefusedAllIsAskedFor) {
  ApiServer server;
  options.collection = {.path = "/api/v1/services", .field_selector = "spec.type=LoadBalancer"};
  options.selector_may_be_refused = true;
  server.set_faults({.old_selectors = true});
  server.upsert("services", {{"metadata", {{"name", "lb"}}}, {"spec", {{"type", "LoadBalancer"}}}});
  server.upsert("services", {{"metadata", {{"name", "in"}}}, {"spec", {{"type", "ClusterIP"}}}});
  start(server);
  EXPECT_TRUE(wait_for_names({"in", "lb"}));
  EXPECT_THAT(told_troubles(), ::testing::IsEmpty());
  // And by a newer server only what was meant.
  server.set_faults({});
  server.compact();
  server.close_watches();
  EXPECT_TRUE(wait_for_names({"lb"}));
}

TEST_F(ResourceWatchTest, AnObjectLargerThanAnyTrueOneIsPassedOverAndOneWithoutEndNotWaitedFor) {
  ApiServer server;
  start(server);
  ASSERT_TRUE(wait_for_names({}));
  const std::string begin = R"({"type":"ADDED","object":{"metadata":{"name":")";
  server.send_line(begin + std::string(5U << 20U, 'a') + "\"}}}");
  put(server, "a");
  ASSERT_TRUE(wait_for_names({"a"}));
  EXPECT_EQ(passed_over, 1);
  EXPECT_EQ(server.count_of("list pods"), 1);
  server.send_line(begin + std::string(33U << 20U, 'a'));
  EXPECT_TRUE(wait_until([&] { return server.count_of("list pods") == 2; }));
  EXPECT_THAT(told_troubles(), ElementsAre(HasSubstr("larger than 32 MiB")));
  EXPECT_TRUE(wait_for_names({"a"}));
}

TEST_F(ResourceWatchTest, ItWaitsAsLongAsItIsAskedTo) {
  ApiServer server;
  server.fail_next(1, 429, 1);
  options.longest_backoff = 2s;
  const auto begun = std::chrono::steady_clock::now();
  start(server);
  ASSERT_TRUE(wait_for_names({}));
  EXPECT_GE(std::chrono::steady_clock::now() - begun, 1s);
}

}  // namespace
}  // namespace hairpind
