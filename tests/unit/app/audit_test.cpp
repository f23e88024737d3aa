// SPDX-License-Identifier: Apache-2.0
#include "audit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

namespace hairpind {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

const std::string kManifests = HAIRPIND_SOURCE_DIR "/tests/unit/app/manifests";

struct Ran {
  int status = -1;
  std::string out;
  std::string err;
};

Ran run(const std::vector<std::string>& arguments) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Ran ran;
  ran.status = run_audit(arguments);
  std::fflush(stdout);
  ran.out = ::testing::internal::GetCapturedStdout();
  ran.err = ::testing::internal::GetCapturedStderr();
  return ran;
}

class AuditTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/hairpind-audit-XXXXXX";
    directory = mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory + "/" + name) << text;
    return directory + "/" + name;
  }

  /// A Service of type LoadBalancer; `annotations` as YAML has them between braces.
  static std::string service(const std::string& name, const std::string& annotations) {
    return "apiVersion: v1\nkind: Service\nmetadata:\n  name: " + name + "\n  annotations: {" + annotations +
           "}\nspec: {type: LoadBalancer, ports: [{port: 443}]}\n";
  }

  std::string directory;
};

TEST_F(AuditTest, JsonOfAFolderWithOneOfEachKind) {
  const Ran ran = run({"-f", kManifests, "-o", "json"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(ran.err, "");
  const Json audit = Json::parse(ran.out);
  EXPECT_EQ(audit["schema"], "hairpind.audit/v1");
  std::map<std::string, std::string> verdicts;
  for (const Json& service : audit["services"]) {
    verdicts[service["namespace"].get<std::string>() + "/" + service["name"].get<std::string>()] = service["verdict"];
    EXPECT_NE(service["reason"], "") << service;
    EXPECT_TRUE(service["fix"].is_string());
    EXPECT_TRUE(service["link"].is_string());
  }
  EXPECT_EQ(verdicts, (std::map<std::string, std::string>{{"shop/aws-instance", "at_risk"},
                                                          {"shop/aws-off", "safe"},
                                                          {"shop/aws-broken", "unknown"},
                                                          {"shop/no-ports", "unknown"},
                                                          {"default/nobody-knows", "unknown"},
                                                          {"infra/vip", "safe"}}));
}

TEST_F(AuditTest, TableNamesTheLineToAdd) {
  const Ran ran = run({"-f", kManifests});
  EXPECT_THAT(ran.out, HasSubstr("shop/aws-instance"));
  EXPECT_THAT(ran.out, HasSubstr("preserve_client_ip.enabled=false"));
  EXPECT_THAT(ran.out,
              HasSubstr("6 Services of type LoadBalancer: 1 at risk, 3 unknown, 2 safe (8 Kubernetes objects"));
  EXPECT_THAT(ran.out, HasSubstr("at: " + kManifests + "/services.yaml:2\n"));
  EXPECT_THAT(ran.out, Not(HasSubstr("shop/inside")));
}

TEST_F(AuditTest, YamlIsTheSameReport) {
  const Ran yaml = run({"-f", kManifests, "-o", "yaml"});
  const YAML::Node parsed = YAML::Load(yaml.out);
  const Json json = Json::parse(run({"-f", kManifests, "-o", "json"}).out);
  ASSERT_EQ(parsed["services"].size(), json["services"].size());
  for (std::size_t i = 0; i < json["services"].size(); i++) {
    EXPECT_EQ(parsed["services"][i]["reason"].as<std::string>(), json["services"][i]["reason"].get<std::string>());
  }
}

TEST_F(AuditTest, NothingAtRiskIsStatusZero) {
  EXPECT_EQ(run({"-f", kManifests + "/list.json"}).status, 0);
}

TEST_F(AuditTest, WhatCannotBeReadIsSaidAndTheRestGoesOn) {
  const std::string broken = write("broken.yaml", "kind: [");
  const Ran ran = run({"-f", broken, "-f", "/nonexistent.yaml", "-f", kManifests});
  EXPECT_EQ(ran.status, 2);
  EXPECT_THAT(ran.err, HasSubstr(broken));
  EXPECT_THAT(ran.err, HasSubstr("'/nonexistent.yaml': No such file"));
  EXPECT_EQ(std::ranges::count(ran.err, '\n'), 2) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("shop/aws-instance"));
}

TEST_F(AuditTest, DocumentsThatAreNoObjectsAreNoted) {
  const std::string path = write("odd.yaml",
                                 "a: b\n---\n- 1\n---\njust text\n---\n---\nkind: Service\napiVersion: v1\n---\n"
                                 "kind: Service\napiVersion: v1\nmetadata: {name: x}\nspec: {type: LoadBalancer}\n");
  const Ran ran = run({"-f", path});
  EXPECT_EQ(ran.status, 0);
  EXPECT_EQ(std::ranges::count(ran.err, '\n'), 4) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("odd.yaml:1: no Kubernetes object"));
  EXPECT_THAT(ran.err, HasSubstr("a Service without a name"));
  EXPECT_THAT(ran.out, HasSubstr("default/x"));
}

TEST_F(AuditTest, HostileNestingEndsAsAnError) {
  const std::string path = write("deep.yaml", std::string(5000, '[') + std::string(5000, ']'));
  EXPECT_EQ(run({"-f", path}).status, 2);
}

TEST_F(AuditTest, NothingReadIsNotPassed) {
  const std::vector<std::string> nothing = {write("empty.yaml", ""), write("comment.yaml", "# nothing\n---\n"),
                                            write("values.yaml", "replicas: 1\n"), directory + "/none"};
  std::filesystem::create_directory(nothing.back());
  for (const std::string& path : nothing) {
    const Ran ran = run({"-f", path});
    EXPECT_EQ(ran.status, 2) << path;
    EXPECT_THAT(ran.err, HasSubstr("nothing was read"));
    EXPECT_THAT(ran.err, HasSubstr("--allow-empty"));
    EXPECT_EQ(run({"-f", path, "--allow-empty"}).status, 0) << path;
  }
  // It was read, and there is nothing to judge.
  EXPECT_EQ(run({"-f", write("map.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")}).status, 0);
  // What cannot be read stays an error.
  EXPECT_EQ(run({"-f", "/nonexistent", "--allow-empty"}).status, 2);
}

TEST_F(AuditTest, UnknownFailsWhereItIsAskedFor) {
  const std::string unknown = write("unknown.yaml", service("x", ""));
  EXPECT_EQ(run({"-f", unknown}).status, 0);
  EXPECT_EQ(run({"-f", unknown, "--fail-on", "at_risk"}).status, 0);
  EXPECT_EQ(run({"-f", unknown, "--fail-on", "unknown"}).status, 1);
  EXPECT_EQ(run({"-f", kManifests + "/list.json", "--fail-on", "unknown"}).status, 0);
  EXPECT_EQ(run({"-f", kManifests, "--fail-on", "unknown"}).status, 1);
  EXPECT_EQ(run({"-f", unknown, "--fail-on", "safe"}).status, 2);
}

TEST_F(AuditTest, IgnoredWithAReasonDoesNotCount) {
  const std::string risky = "service.beta.kubernetes.io/aws-load-balancer-type: external";
  const std::string ignored = write("ignored.yaml", service("x", risky + ", hairpind.dev/ignore: one pod a node"));
  EXPECT_EQ(run({"-f", ignored}).status, 0);
  EXPECT_EQ(run({"-f", ignored, "--fail-on", "unknown"}).status, 0);
  const Json row = Json::parse(run({"-f", ignored, "-o", "json"}).out)["services"][0];
  EXPECT_EQ(row["verdict"], "at_risk") << "it is said all the same";
  EXPECT_EQ(row["ignored"], "one pod a node");
  EXPECT_THAT(run({"-f", ignored}).out, HasSubstr("0 at risk, 0 unknown, 0 safe, 1 ignored"));
  for (const char* const none : {"\"\"", "\"  \"", "null"}) {
    const std::string path = write("none.yaml", service("x", risky + ", hairpind.dev/ignore: " + none));
    EXPECT_EQ(run({"-f", path}).status, 1) << "no reason is no reason: " << none;
  }
}

TEST_F(AuditTest, OtherKindsAreListed) {
  const std::string path =
      write("gateway.yaml",
            "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: n}\n"
            "spec: {gatewayClassName: gateway.k8s.aws/nlb}\n");
  const Ran ran = run({"-f", path});
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("Gateway n/g"));
  EXPECT_THAT(ran.out, HasSubstr("0 Services of type LoadBalancer and 1 other objects: 0 at risk, 1 unknown"));
  EXPECT_EQ(run({"-f", path, "--fail-on", "unknown"}).status, 1);
  const Json row = Json::parse(run({"-f", path, "-o", "json"}).out)["others"][0];
  EXPECT_EQ(row["kind"], "Gateway");
  EXPECT_EQ(row["line"], 1);
}

TEST_F(AuditTest, StandardInput) {
  const std::string path = write("in.yaml", service("piped", ""));
  const std::ifstream file(path);
  std::streambuf* const before = std::cin.rdbuf(file.rdbuf());
  const Ran ran = run({"-f", "-"});
  std::cin.rdbuf(before);
  EXPECT_EQ(ran.status, 0);
  EXPECT_THAT(ran.out, HasSubstr("default/piped"));
  EXPECT_THAT(ran.out, HasSubstr("at: stdin:1"));
}

TEST_F(AuditTest, WrongUse) {
  EXPECT_EQ(run({"-o", "xml", "-f", kManifests}).status, 2);
  EXPECT_EQ(run({"--nonsense"}).status, 2);
  EXPECT_EQ(run({"--help"}).status, 0);
  unsetenv("KUBERNETES_SERVICE_HOST");
  const Ran nowhere = run({});
  EXPECT_EQ(nowhere.status, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("--kubeconfig"));
  EXPECT_EQ(run({"--kubeconfig", "/nonexistent"}).status, 2);
}

}  // namespace
}  // namespace hairpind
