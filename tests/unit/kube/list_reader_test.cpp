// SPDX-License-Identifier: Apache-2.0
#include "list_reader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "json_reading.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Read {
  std::vector<std::string> names;
  std::string version;
  std::string error;
};

Read read(const std::string& text, std::size_t step) {
  Read result;
  ListReader reader([&](const Json& object) { result.names.push_back(text_at(object, "/metadata/name")); });
  for (std::size_t at = 0; at < text.size(); at += step) {
    if (const auto fed = reader.feed(std::string_view(text).substr(at, step)); !fed) {
      result.error = fed.error().message;
      return result;
    }
  }
  const auto frame = reader.frame();
  if (frame) {
    result.version = text_at(*frame, "/metadata/resourceVersion");
  } else {
    result.error = frame.error().message;
  }
  return result;
}

TEST(ListReader, TakesListsApartWhereverTheyAreCut) {
  const std::string text =
      R"( {"kind": "PodList", "metadata": {"resourceVersion": "7", "items": [1, 2]}, "other": [{"a": 1}],
    "x": "\"items\":[{", "items": [
      {"metadata": {"name": "a"}, "items": [{"metadata": {"name": "inner"}}]},
      {"metadata": {"name": "b } ] \" \\"}} , {"metadata": {"name": "c"}, "spec": [[{}]]}
    ], "after": {"more": [1]}}
 )";
  for (const std::size_t step : {std::size_t{1}, std::size_t{3}, text.size()}) {
    const Read got = read(text, step);
    EXPECT_EQ(got.error, "") << step;
    EXPECT_THAT(got.names, ElementsAre("a", "b } ] \" \\", "c")) << step;
    EXPECT_EQ(got.version, "7") << step;
  }
}

TEST(ListReader, AnEmptyListMayBeNull) {
  EXPECT_EQ(read(R"({"metadata":{"resourceVersion":"7"},"items":null})", 5).error, "");
  EXPECT_EQ(read(R"({"metadata":{"resourceVersion":"7"},"items":[]})", 5).error, "");
}

TEST(ListReader, WhatIsNoListIsRefused) {
  for (const char* const text :
       {"", "[]", "7", "nonsense", "{}", R"({"items":[]})", R"({"metadata":{"resourceVersion":"7"}})",
        R"({"metadata":{"resourceVersion":"7"},"items":[7]})", R"({"metadata":{"resourceVersion":"7"},"items":[[]]})",
        R"({"metadata":{"resourceVersion":"7"},"items":[{]})", R"({"metadata":{"resourceVersion":"7"},"items":[{"a":])",
        R"({"metadata":{"resourceVersion":"7"},"items":[]}{})", R"({"kind":"Status","message":"no"})", "]", "}"}) {
    EXPECT_NE(read(text, 1000).error, "") << text;
  }
}

TEST(ListReader, ObjectsLargerThanAnyTrueOneArePassedOver) {
  std::string brackets;
  for (int i = 0; i < 300000; i++) {
    brackets += "[],";
  }
  std::string labels;
  for (int i = 0; i < 100000; i++) {
    labels += "\"" + std::to_string(i) + "\":\"\",";
  }
  for (const std::string& large :
       {R"({"a":")" + std::string(9000000, 'x') + "\"}", R"({"a":[)" + brackets + "0]}",
        R"({"labels":{)" + labels + R"("x":""}})", R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}"}) {
    const Read got = read(R"({"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"a"}},)" + large +
                              R"(,{"metadata":{"name":"b"}}]})",
                          10000);
    EXPECT_EQ(got.error, "");
    EXPECT_THAT(got.names, ElementsAre("a", "", "b"));
  }
}

TEST(ListReader, NothingGrowsWithoutEnd) {
  const std::string begin = R"({"metadata":{"resourceVersion":"7"},"items":[)";
  EXPECT_THAT(read(begin + R"({"a":")" + std::string(33U << 20U, 'x'), 100000).error, HasSubstr("larger than 32 MiB"));
  EXPECT_NE(read(R"({"kind":")" + std::string(5000000, 'x'), 100000).error, "");
}

TEST(ParseObject, LeavesOutWhatNobodyReads) {
  const auto object = parse_object(R"({"metadata": {"name": "x", "managedFields": [{"a": [{"b": 1}]}, 2],
    "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}},
    "spec": {"volumes": "text", "containers": [{"env": [], "ports": [{"containerPort": 80}]}], "x": null}})");
  ASSERT_TRUE(object);
  EXPECT_EQ(*object, Json::parse(R"({"metadata": {"name": "x", "annotations": {"a": "b"}},
    "spec": {"containers": [{"ports": [{"containerPort": 80}]}], "x": null}})"));
  EXPECT_EQ(*parse_object("7"), Json(7));
  EXPECT_EQ(parse_object("{").error(), ParseFault::kNotJson);
  EXPECT_EQ(parse_object("").error(), ParseFault::kNotJson);
}

}  // namespace
}  // namespace hairpind
