// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/manifests.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace hairpind {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kHead = "apiVersion: v1\nkind: Service\n";

Manifests read(const std::string& text) {
  Manifests manifests;
  read_manifest(text, "m.yaml", manifests);
  return manifests;
}

std::vector<std::string> names(const Manifests& manifests) {
  std::vector<std::string> found;
  for (const auto& [service, place] : manifests.services) {
    found.push_back(service.full_name() + "@" + std::to_string(place.line));
  }
  return found;
}

TEST(ReadManifest, EveryObjectHasItsLine) {
  const Manifests manifests =
      read("# one\n" + kHead + "metadata: {name: a}\n---\n\n" + kHead + "metadata: {name: b, namespace: n}\n---\n" +
           "apiVersion: v1\nkind: List\nitems:\n- " + "apiVersion: v1\n  kind: Service\n  metadata: {name: c}\n" +
           "- {apiVersion: v1, kind: Service, metadata: {name: d}}\n---\napiVersion: v1\nkind: ServiceList\nitems:\n" +
           "- metadata: {name: e}\n---\n" + "{\"apiVersion\": \"v1\", \"kind\": \"Service\",\n \"metadata\": " +
           "{\"name\": \"f\"}}\n{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"g\"}}\n");
  EXPECT_THAT(manifests.errors, IsEmpty());
  EXPECT_THAT(names(manifests), ElementsAre("default/a@2", "n/b@7", "default/c@14", "default/d@17", "default/e@22",
                                            "default/f@24", "default/g@26"));
  EXPECT_EQ(manifests.services[0].place.file, "m.yaml");
}

TEST(ReadManifest, MergeKeysAreExpanded) {
  const Manifests manifests = read(kHead +
                                   "metadata:\n  name: a\n  annotations:\n    <<: [*x, *y]\n    k: own\n"
                                   "  labels: {<<: {l: \"1\"}}\n");
  EXPECT_THAT(manifests.errors, SizeIs(1)) << "an alias that nothing named";
  const Manifests merged =
      read(kHead +
           "x: &x {k: x, only-x: x}\ny: &y {<<: *x, k: y, only-y: y}\n"
           "metadata:\n  name: a\n  annotations:\n    k: own\n    <<: [*y, {last: z, only-y: z}]\n");
  ASSERT_THAT(merged.errors, IsEmpty());
  const auto& annotations = merged.services.at(0).object.annotations;
  EXPECT_EQ(annotations.at("k"), "own") << "the map's own key wins";
  EXPECT_EQ(annotations.at("only-y"), "y") << "then the first that has one";
  EXPECT_EQ(annotations.at("only-x"), "x") << "merged maps merge";
  EXPECT_EQ(annotations.at("last"), "z");
  EXPECT_FALSE(annotations.contains("<<"));
  EXPECT_TRUE(read(kHead + "metadata: {name: a, annotations: {\"<<\": text}}\n")
                  .services.at(0)
                  .object.annotations.contains("<<"))
      << "a quoted one is a key like any other";
  for (const char* const wrong : {"metadata: {name: a, <<: text}", "metadata: {name: a, <<: [text]}"}) {
    EXPECT_THAT(read(kHead + wrong).errors, ElementsAre(HasSubstr("a merge key (<<) whose value is no map")));
  }
}

// Small documents that would be large ones: each ends as one line, at once, and what stands beside it is read.
TEST(ReadManifest, AliasesThatGrowBeyondReasonAreRefused) {
  std::string lists = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n";
  std::string maps = "b0: &b0 {k: xxxxxxxx}\n";
  std::string merges = "c0: &c0 {k0: v}\n";
  for (int i = 1; i < 12; i++) {
    const std::string n = std::to_string(i);
    const std::string list = "*a" + std::to_string(i - 1);
    lists +=
        "a" + n + ": &a" + n + " [" + list + "," + list + "," + list + "," + list + "," + list + "," + list + "]\n";
    const std::string map = "*b" + std::to_string(i - 1);
    maps += "b" + n + ": &b" + n + " {p: " + map + ", q: " + map + ", r: " + map + ", s: " + map + "}\n";
    const std::string merge = "*c" + std::to_string(i - 1);
    merges +=
        "c" + n + ": &c" + n + " {k" + n + ": " + merge + ", <<: [" + merge + ", " + merge + ", " + merge + "]}\n";
  }
  const std::string scalar = "s: &s \"" + std::string(1U << 20U, 'x') + "\"\nall: [";
  std::string many = scalar;
  for (int i = 0; i < 1000; i++) {
    many += "*s, ";
  }
  many += "*s]\n";
  const std::string himself = "a: &a [*a, *a]\n";
  for (const std::string& bomb : {lists, maps, merges, many, himself}) {
    const Manifests manifests =
        read(kHead + "metadata: {name: bomb}\n" + bomb + "---\n" + kHead + "metadata: {name: beside}\n");
    EXPECT_THAT(manifests.errors, ElementsAre(AllOf(HasSubstr("cannot parse m.yaml:"), Not(HasSubstr("\n")))));
    EXPECT_LT(manifests.errors.at(0).size(), 200U);
    ASSERT_THAT(manifests.services, SizeIs(1));
    EXPECT_EQ(manifests.services[0].object.name, "beside");
  }
}

TEST(ReadManifest, LargeDocumentsWithoutAliasesAreRead) {
  std::string annotations;
  for (int i = 0; i < 2000; i++) {
    annotations += "    k" + std::to_string(i) + ": &k" + std::to_string(i) + " v\n";
  }
  const Manifests manifests = read(kHead + "metadata:\n  name: a\n  annotations:\n    huge: \"" +
                                   std::string(2U << 20U, 'x') + "\"\n" + annotations + "    empty:\n");
  EXPECT_THAT(manifests.errors, IsEmpty());
  EXPECT_THAT(manifests.services.at(0).object.annotations, SizeIs(2001));
  const Manifests nulls = read(kHead + "metadata: {name: a}\nx: [" + std::string(200000, ',') + "]\n");
  EXPECT_THAT(names(nulls).size() + nulls.errors.size(), 1U);
}

TEST(ReadManifest, DeepNestingIsRefused) {
  for (const std::size_t depth : {70U, 400U, 5000U, 200000U}) {
    EXPECT_THAT(read(kHead + "x: " + std::string(depth, '[') + std::string(depth, ']')).errors, SizeIs(1)) << depth;
  }
  std::string block = kHead;
  for (std::size_t i = 0; i < 1000; i++) {
    block += std::string(i, ' ') + "x:\n";
  }
  EXPECT_THAT(read(block).errors, SizeIs(1));
}

TEST(ReadManifest, TemplatesAreRefusedWithTheCommand) {
  for (const std::string& text : {kHead + "metadata: {name: {{ .Release.Name }}}\n",
                                  kHead + "metadata:\n  name: a\n{{- if .Values.x }}\nspec: {}\n{{- end }}\n",
                                  kHead + "metadata: {name: a}\nspec: {type: \"{{ .Values.type }}\"}\n",
                                  kHead + "metadata: {name: a, annotations: {k: '{{ tpl . }}'}}\n"}) {
    const Manifests manifests = read(text);
    EXPECT_THAT(manifests.errors, ElementsAre(AllOf(HasSubstr("m.yaml:"), HasSubstr("not rendered"),
                                                    HasSubstr("helm template CHART | hairpind audit -f -"))));
    EXPECT_THAT(manifests.services, IsEmpty());
  }
  EXPECT_THAT(read("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {rule: '{{ $labels.x }}'}\n").errors,
              IsEmpty())
      << "of no load balancer, and nothing to render";
}

TEST(ReadManifest, ATypeThatIsNoneIsAnError) {
  EXPECT_THAT(read(kHead + "metadata: {name: a}\nspec: {type: \"${TYPE}\"}\n").errors,
              ElementsAre(HasSubstr("'${TYPE}', which is none")));
  EXPECT_THAT(
      read("apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {type: x}\n").services,
      IsEmpty())
      << "another group's Service";
}

TEST(ReadManifest, OtherKindsOfTheirGroup) {
  const Manifests manifests = read(
      "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: g, namespace: n, annotations: {k: "
      "v}}\n"
      "spec: {gatewayClassName: nlb}\n---\n"
      "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: istio}\n---\n"
      "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: nlb}\n"
      "spec: {controllerName: gateway.k8s.aws/nlb}\n---\n"
      "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i, annotations: "
      "{kubernetes.io/ingress.class: alb}}\n---\n"
      "apiVersion: gateway.k8s.aws/v1beta1\nkind: TargetGroupConfiguration\nmetadata: {name: t}\nspec:\n"
      "  defaultConfiguration: {targetType: ip, targetGroupAttributes: [{key: a, value: b}]}\n"
      "  routeConfigurations: [{routeIdentifier: {kind: TCPRoute}, targetGroupProps: {targetType: instance}}]\n---\n"
      "apiVersion: operator.openshift.io/v1\nkind: IngressController\nmetadata: {name: o}\nspec:\n"
      "  endpointPublishingStrategy: {type: LoadBalancerService, loadBalancer: {providerParameters: {type: AWS, aws: "
      "{type: NLB}}}}\n");
  EXPECT_THAT(manifests.errors, IsEmpty());
  EXPECT_EQ(manifests.objects, 6U);
  ASSERT_THAT(manifests.others, SizeIs(4));
  const auto& gateway = manifests.others[0].object;
  EXPECT_EQ(gateway.full_name(), "n/g");
  EXPECT_EQ(gateway.class_name, "nlb");
  EXPECT_EQ(gateway.controller, "gateway.k8s.aws/nlb") << "of a class that comes after it";
  EXPECT_EQ(gateway.annotations.at("k"), "v");
  EXPECT_EQ(manifests.others[1].object.class_name, "alb");
  const auto& groups = manifests.others[2].object.target_groups;
  ASSERT_THAT(groups, SizeIs(2));
  EXPECT_EQ(groups[0].target_type, "ip");
  EXPECT_EQ(groups[0].attributes.at("a"), "b");
  EXPECT_EQ(groups[1].route_kind, "TCPRoute");
  EXPECT_EQ(manifests.others[3].object.publishing, "LoadBalancerService");
  EXPECT_EQ(manifests.others[3].object.provider, "AWS NLB");
}

class ReadManifestsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/hairpind-manifests-XXXXXX";
    directory = mkdtemp(name.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  void write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = directory + "/" + name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }

  std::string directory;
};

TEST_F(ReadManifestsTest, ChartsAndKustomizationsAreRefusedAndTheRestIsRead) {
  const std::string service = kHead + "metadata: {name: a}\n";
  write("plain/a.yaml", service);
  write("it's a chart/Chart.yaml", "name: c\n");
  write("it's a chart/templates/svc.yaml", kHead + "metadata: {name: {{ .x }}}\n");
  write("overlay/kustomization.yaml", "resources: [../plain]\n");
  write("overlay/patch.yaml", service);
  const Manifests manifests = read_manifests({directory});
  EXPECT_THAT(manifests.errors,
              ElementsAre(HasSubstr("a Helm chart, which is no manifest yet: helm template '" + directory +
                                    "/it'\\''s a chart' | hairpind audit -f -"),
                          HasSubstr("kubectl kustomize " + directory + "/overlay | hairpind audit -f -")));
  EXPECT_THAT(names(manifests), ElementsAre("default/a@1"));

  const Manifests direct =
      read_manifests({directory + "/overlay/kustomization.yaml", directory + "/it's a chart/templates/svc.yaml"});
  EXPECT_THAT(direct.errors, ElementsAre(HasSubstr("kubectl kustomize"), HasSubstr("it'\\''s a chart' | hairpind")));
}

TEST_F(ReadManifestsTest, DirectoriesAreReadInOrderAndLinksDoNotTurnInCircles) {
  write("b/2.yml", kHead + "metadata: {name: second}\n");
  write("a.json", R"({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "first"}})");
  write("c.txt", kHead + "metadata: {name: other}\n");
  std::filesystem::create_directory_symlink("..", directory + "/b/up");
  EXPECT_THAT(names(read_manifests({directory})), ElementsAre("default/first@1", "default/second@1"));
}

TEST_F(ReadManifestsTest, WhatIsNoTextIsAnError) {
  write("a.yaml", std::string("\x7f\x45LF\x02\x01\0\0\0\0", 10));
  EXPECT_THAT(read_manifests({directory}).errors, ElementsAre(HasSubstr("a.yaml': no text")));
}

}  // namespace
}  // namespace hairpind
