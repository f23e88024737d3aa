// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/objects.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace hairpind {
namespace {

using Json = nlohmann::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(ParsePod, TakesWhatIsUsed) {
  const auto pod = parse_pod(Json::parse(R"({
    "metadata": {"namespace": "shop", "name": "web-7d9f-abcde", "uid": "u1",
      "labels": {"app": "web", "pod-template-hash": "7d9f"},
      "ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d9f", "controller": true}]},
    "spec": {"nodeName": "n1", "containers": [
      {"ports": [{"containerPort": 8443}, {"containerPort": 53, "protocol": "UDP"}]}, {"name": "sidecar"}]},
    "status": {"phase": "Running", "podIP": "10.0.1.10", "podIPs": [{"ip": "10.0.1.10"}, {"ip": "fd00:1::10"}],
      "conditions": [{"type": "Ready", "status": "True"}]}, "unheard": {"of": []}})"));
  ASSERT_TRUE(pod);
  EXPECT_EQ(pod->ref, (PodRef{.namespace_name = "shop", .name = "web-7d9f-abcde", .workload = "Deployment/web"}));
  EXPECT_EQ(pod->uid, "u1");
  EXPECT_EQ(pod->node_name, "n1");
  EXPECT_THAT(pod->addresses, ElementsAre(*IpAddress::parse("10.0.1.10"), *IpAddress::parse("fd00:1::10")));
  EXPECT_THAT(pod->tcp_ports, ElementsAre(8443));
  EXPECT_TRUE(pod->ready);
  EXPECT_FALSE(pod->host_network);
  EXPECT_FALSE(pod->finished);
}

TEST(ParsePod, AddressesOnOtherNetworks) {
  const auto claimed = [](const Json& status) {
    Json object = Json::parse(R"({"metadata": {"name": "p", "namespace": "n"}, "status": {"podIP": "10.0.1.10"}})");
    object["metadata"]["annotations"]["k8s.v1.cni.cncf.io/network-status"] = status;
    return parse_pod(object)->claimed;
  };
  EXPECT_THAT(claimed(R"([{"name": "cni", "interface": "eth0", "ips": ["10.0.1.10"], "default": true},
                          {"name": "n/mv", "interface": "net1", "ips": ["192.168.7.10", "fd00:7::10", "fe80::1", 7]}])"),
              ElementsAre(*IpAddress::parse("192.168.7.10"), *IpAddress::parse("fd00:7::10")));
  for (const char* const nothing : {"", "{}", "[7, null, {\"ips\": 7}]", "[{\"ips\": [\"1.2.3\"]}", "not json"}) {
    EXPECT_THAT(claimed(nothing), IsEmpty()) << nothing;
  }
  EXPECT_THAT(claimed(7), IsEmpty());
  EXPECT_THAT(claimed(std::string(20000, ' ') + R"([{"ips": ["192.168.7.10"]}])"), IsEmpty()) << "too long";
  Json many = Json::array({{{"ips", Json::array()}}});
  for (int i = 1; i < 200; i++) {
    many[0]["ips"].push_back("192.168.7." + std::to_string(i));
  }
  EXPECT_EQ(claimed(many.dump()).size(), 8);
}

TEST(ParsePod, WorkloadFollowsTheOwner) {
  const auto workload = [](const char* metadata) {
    Json object = {{"metadata", Json::parse(metadata)}};
    object["metadata"]["namespace"] = "n";
    object["metadata"]["name"] = "p";
    return parse_pod(object)->ref.workload;
  };
  EXPECT_EQ(workload(R"({})"), "");
  EXPECT_EQ(workload(R"({"ownerReferences": [{"kind": "StatefulSet", "name": "db"}]})"), "StatefulSet/db");
  // A ReplicaSet of one's own: nothing says that a Deployment made it.
  EXPECT_EQ(workload(R"({"ownerReferences": [{"kind": "ReplicaSet", "name": "web-7d9f"}]})"), "ReplicaSet/web-7d9f");
  EXPECT_EQ(workload(R"({"labels": {"pod-template-hash": "7d9f"},
                         "ownerReferences": [{"kind": "ReplicaSet", "name": "a-b-7d9f"}]})"),
            "Deployment/a-b");
}

TEST(ParsePod, HostileObjectsAreNoPods) {
  for (const char* const text : {"null", "[]", "{}", "7", R"({"metadata": []})", R"({"metadata": {"name": 7}})",
                                 R"({"metadata": {"name": "x"}})"}) {
    EXPECT_FALSE(parse_pod(Json::parse(text))) << text;
  }
  const auto odd = parse_pod(Json::parse(R"({"metadata": {"name": "x", "namespace": "n", "labels": [],
    "ownerReferences": {}}, "spec": {"hostNetwork": "yes", "containers": [null, {"ports": [{"containerPort": -1}]},
    {"ports": [{"containerPort": 70000}]}]}, "status": {"podIPs": [{"ip": "not an ip"}, 5], "conditions": "x"}})"));
  ASSERT_TRUE(odd);
  EXPECT_FALSE(odd->host_network);
  EXPECT_THAT(odd->addresses, IsEmpty());
  EXPECT_THAT(odd->tcp_ports, IsEmpty());
}

TEST(ParseService, TakesWhatIsUsed) {
  const auto service = parse_service(Json::parse(R"({
    "metadata": {"namespace": "shop", "name": "api", "uid": "u2", "annotations": {"a": "b", "n": 5,
      "kubectl.kubernetes.io/last-applied-configuration": "all of it again"}},
    "spec": {"type": "LoadBalancer", "loadBalancerClass": "service.k8s.aws/nlb", "externalTrafficPolicy": "Local",
      "selector": {"app": "api"}, "ports": [{"name": "https", "port": 443, "nodePort": 30443, "targetPort": 8443},
      {"port": 53, "protocol": "UDP"}, {"port": "bad"}]},
    "status": {"loadBalancer": {"ingress": [{"hostname": "lb.example.com"}, {"ip": "10.0.5.5", "ipMode": "Proxy"}]}}})"));
  ASSERT_TRUE(service);
  EXPECT_EQ(service->full_name(), "shop/api");
  EXPECT_EQ(service->type, "LoadBalancer");
  EXPECT_EQ(service->load_balancer_class, "service.k8s.aws/nlb");
  EXPECT_EQ(service->external_traffic_policy, "Local");
  EXPECT_EQ(service->annotations, (std::map<std::string, std::string>{{"a", "b"}}));
  ASSERT_EQ(service->ports.size(), 2);
  EXPECT_EQ(service->ports[0],
            (ServicePort{.name = "https", .protocol = "TCP", .port = 443, .node_port = 30443, .target_port = 8443}));
  EXPECT_EQ(service->ports[1].protocol, "UDP");
  ASSERT_EQ(service->ingress.size(), 2);
  EXPECT_EQ(service->ingress[0].hostname, "lb.example.com");
  EXPECT_EQ(service->ingress[1].ip_mode, "Proxy");
}

TEST(ParseService, HostileObjectsAreNoServices) {
  for (const char* const text : {"null", "{}", R"({"metadata": {"name": []}})"}) {
    EXPECT_FALSE(parse_service(Json::parse(text))) << text;
  }
  EXPECT_TRUE(parse_service(Json::parse(R"({"metadata": {"name": "x"}, "spec": {"ports": {}}, "status": 5})")));
}

TEST(ParseService, KnowsWhenItWasMade) {
  const auto made = [](const char* text) {
    return parse_service({{"metadata", {{"name", "x"}, {"creationTimestamp", text}}}})
        ->created.time_since_epoch()
        .count();
  };
  EXPECT_EQ(made("1994-11-06T08:49:37Z"), 784111777);
  EXPECT_EQ(made("1994-11-06T09:49:37.25+01:00"), 784111777);
  EXPECT_EQ(made("yesterday"), 0);
}

TEST(KeepWhatIsJudged, ReadAnnotationsStayCutToALength) {
  Service service;
  const std::string attributes = "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes";
  service.annotations = {{attributes, "preserve_client_ip.enabled=false"},
                         {attributes + ".443", std::string(200000, 'x')},
                         {"metallb.io/address-pool", "p"},
                         {"example.com/huge", std::string(250000, 'x')}};
  keep_what_is_judged(service);
  EXPECT_EQ(service.annotations.size(), 3);
  EXPECT_EQ(service.annotations[attributes], "preserve_client_ip.enabled=false");
  EXPECT_EQ(service.annotations[attributes + ".443"].size(), 1024);
  for (int i = 0; i < 1000; i++) {
    service.annotations.emplace("service.beta.kubernetes.io/" + std::to_string(i), std::string(2000, 'x'));
  }
  keep_what_is_judged(service);
  EXPECT_LT(service.annotations.size(), 5);
}

TEST(ParsePod, ListsAndMapsAreCut) {
  Json object = {{"metadata", {{"name", "x"}, {"namespace", "n"}}}};
  for (int i = 0; i < 10000; i++) {
    object["metadata"]["labels"]["label-" + std::to_string(i)] = "value";
    object["status"]["podIPs"].push_back({{"ip", "10.0." + std::to_string(i / 200) + "." + std::to_string(i % 200)}});
    object["spec"]["containers"][0]["ports"].push_back({{"containerPort", i + 1}});
  }
  const auto pod = parse_pod(object);
  ASSERT_TRUE(pod);
  std::size_t bytes = 0;
  for (const auto& [name, value] : pod->labels) {
    bytes += name.size() + value.size();
  }
  EXPECT_LE(bytes, 4096);
  EXPECT_GT(bytes, 4000);
  EXPECT_EQ(pod->addresses.size(), 16);
  EXPECT_EQ(pod->tcp_ports.size(), 64);
}

TEST(ParseNode, TakesAddressesZoneAndMachine) {
  const Node node = parse_node(Json::parse(R"({
    "metadata": {"labels": {"topology.kubernetes.io/zone": "eu-west-1a", "topology.kubernetes.io/region": "eu-west-1"}},
    "spec": {"providerID": "aws:///eu-west-1a/i-0abc"},
    "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.4"}, {"type": "Hostname", "address": "n1"},
                             {"type": "InternalIP", "address": "fd00::4"}]}})"));
  EXPECT_THAT(node.addresses, ElementsAre(*IpAddress::parse("10.0.0.4"), *IpAddress::parse("fd00::4")));
  EXPECT_EQ(node.zone, "eu-west-1a");
  EXPECT_EQ(node.provider_id, "aws:///eu-west-1a/i-0abc");
}

TEST(ParseNode, WhatIsNotThereOrNoTextIsEmpty) {
  EXPECT_EQ(parse_node(Json::object()), Node());
  EXPECT_EQ(parse_node(Json::parse(R"({"metadata": {"labels": {"topology.kubernetes.io/zone": 7}},
                                       "spec": {"providerID": ["aws"]}, "status": {"addresses": "10.0.0.4"}})")),
            Node());
}

}  // namespace
}  // namespace hairpind
