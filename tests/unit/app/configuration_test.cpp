// SPDX-License-Identifier: Apache-2.0
#include "configuration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ConfigurationTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* const name : {"HAIRPIND_LB", "HAIRPIND_CONFIG", "HAIRPIND_LISTEN", "HAIRPIND_LOG_LEVEL",
                                   "HAIRPIND_NODE_NAME", "NODE_NAME", "HAIRPIND_ALERTS"}) {
      unsetenv(name);
    }
  }
  void TearDown() override {
    SetUp();
    std::filesystem::remove(path);
  }

  void write_file(const std::string& text) const { std::ofstream(path) << text; }

  static Configuration parse(const std::vector<std::string>& arguments) {
    auto parsed = parse_run_options(arguments);
    EXPECT_TRUE(parsed) << parsed.error().message;
    return parsed ? std::get<Configuration>(*std::move(parsed)) : Configuration{};
  }
  static std::string error_of(const std::vector<std::string>& arguments) {
    const auto parsed = parse_run_options(arguments);
    return parsed ? "" : parsed.error().message;
  }

  std::string path = "/tmp/hairpind-configuration-" + std::to_string(getpid()) + ".toml";
};

TEST_F(ConfigurationTest, DefaultsAreTheContracts) {
  setenv("NODE_NAME", "from-downward-api", 1);
  const Configuration configuration = parse({});
  EXPECT_EQ(configuration.alerts, "-");
  EXPECT_FALSE(configuration.kubernetes_events);
  EXPECT_EQ(configuration.listen, "127.0.0.1:9477");
  EXPECT_EQ(configuration.health_listen, "");
  EXPECT_EQ(configuration.tls_cert_file, "");
  EXPECT_EQ(configuration.tls_key_file, "");
  EXPECT_EQ(configuration.node_name, "from-downward-api");
  EXPECT_EQ(configuration.log_level, "info");
  EXPECT_EQ(configuration.log_format, "text");
  EXPECT_EQ(configuration.handshake_timeout, 3s);
  EXPECT_EQ(configuration.repeat_interval, std::nullopt) << "grows";
  EXPECT_EQ(configuration.quiet_after, 10min);
  EXPECT_EQ(configuration.ring_bytes, 1U << 20U);
  EXPECT_EQ(configuration.conntrack, "auto");
  EXPECT_EQ(configuration.attach, "auto");
  EXPECT_EQ(configuration.cilium_bpffs, "");
  EXPECT_EQ(configuration.cluster_dns, "");
  EXPECT_TRUE(configuration.load_balancers.empty());
}

TEST_F(ConfigurationTest, FlagsRepeat) {
  const Configuration configuration = parse({"--lb",
                                             "10.0.5.5:443",
                                             "--lb",
                                             "lb.example.com",
                                             "--pod-interface",
                                             "a*",
                                             "--pod-interface",
                                             "b*",
                                             "--uplink",
                                             "eth?",
                                             "--listen",
                                             "",
                                             "--cilium-bpffs",
                                             "/bpf",
                                             "--conntrack",
                                             "netlink",
                                             "--attach",
                                             "clsact",
                                             "--handshake-timeout",
                                             "0.5",
                                             "--repeat-interval",
                                             "5"});
  EXPECT_EQ(configuration.load_balancers.size(), 2);
  EXPECT_THAT(configuration.interfaces.pod_globs, ElementsAre("a*", "b*"));
  EXPECT_THAT(configuration.interfaces.uplink_globs, ElementsAre("eth?"));
  EXPECT_EQ(configuration.listen, "");
  EXPECT_EQ(configuration.cilium_bpffs, "/bpf");
  EXPECT_EQ(configuration.conntrack, "netlink");
  EXPECT_EQ(configuration.attach, "clsact");
  EXPECT_EQ(configuration.handshake_timeout, 500ms);
  EXPECT_EQ(configuration.repeat_interval, 5s);
}

TEST_F(ConfigurationTest, FlagWinsOverFileAndFileOverEnvironment) {
  setenv("HAIRPIND_NODE_NAME", "from-environment", 1);
  setenv("HAIRPIND_LOG_LEVEL", "error", 1);
  setenv("HAIRPIND_ALERTS", "/environment", 1);
  write_file("node-name = \"from-file\"\nalerts = \"/file\"\nlb = [\"10.0.5.5:443\", \"10.0.5.6\"]\n");
  const Configuration configuration = parse({"--config", path, "--node-name", "from-flag"});
  EXPECT_EQ(configuration.node_name, "from-flag");
  EXPECT_EQ(configuration.alerts, "/file");
  EXPECT_EQ(configuration.log_level, "error");
  EXPECT_EQ(configuration.load_balancers.size(), 2);
}

TEST_F(ConfigurationTest, ASwitchIsAFlagOrAKey) {
  EXPECT_TRUE(parse({"--kubernetes-events"}).kubernetes_events);
  write_file("kubernetes-events = true\n");
  EXPECT_TRUE(parse({"--config", path}).kubernetes_events);
  write_file("kubernetes-events = false\n");
  EXPECT_FALSE(parse({"--config", path}).kubernetes_events);
  write_file("kubernetes-events = \"often\"\n");
  EXPECT_THAT(error_of({"--config", path}), HasSubstr("kubernetes-events"));
}

TEST_F(ConfigurationTest, EnvironmentListsAreSeparatedByCommas) {
  setenv("HAIRPIND_LB", "10.0.5.5:443,[fd00:5::5]:443,10.1.0.0/16", 1);
  const Configuration configuration = parse({});
  ASSERT_EQ(configuration.load_balancers.size(), 3);
  EXPECT_EQ(std::get<Frontend>(configuration.load_balancers[1]).to_string(), "[fd00:5::5]:443");
}

TEST_F(ConfigurationTest, TheClustersDnsIsAnAddress) {
  EXPECT_EQ(parse({"--cluster-dns", "169.254.20.10"}).cluster_dns, "169.254.20.10:53");
  EXPECT_EQ(parse({"--cluster-dns", "127.0.0.1:5353"}).cluster_dns, "127.0.0.1:5353");
  EXPECT_EQ(parse({"--cluster-dns", "fd00::a"}).cluster_dns, "[fd00::a]:53");
  EXPECT_EQ(parse({"--cluster-dns", "[fd00::a]:5353"}).cluster_dns, "[fd00::a]:5353");
  for (const char* const other : {"kube-dns.kube-system.svc", "10.96.0.0/12", "10.96.0", "10.96.0.10:0"}) {
    EXPECT_THAT(error_of({"--cluster-dns", other}), HasSubstr("--cluster-dns '" + std::string(other) + "'"));
    EXPECT_THAT(error_of({"--cluster-dns", other}), HasSubstr("expected ADDR[:PORT]"));
  }
}

// A name that is mistyped would be a variable that does nothing.
TEST_F(ConfigurationTest, EveryOptionHasItsVariable) {
  const std::vector<std::pair<const char*, const char*>> variables{
      {"HAIRPIND_POD_INTERFACE", "pod*"},   {"HAIRPIND_UPLINK", "up*"},
      {"HAIRPIND_NODE_NAME", "n7"},         {"HAIRPIND_KUBECONFIG", "/kubeconfig"},
      {"HAIRPIND_CILIUM_BPFFS", "/bpf"},    {"HAIRPIND_CONNTRACK", "netlink"},
      {"HAIRPIND_RESET_SENSOR", "drop"},    {"HAIRPIND_ATTACH", "clsact"},
      {"HAIRPIND_ALERTS", "/alerts"},       {"HAIRPIND_LISTEN", "127.0.0.1:1"},
      {"HAIRPIND_HANDSHAKE_TIMEOUT", "7"},  {"HAIRPIND_REPEAT_INTERVAL", "8"},
      {"HAIRPIND_PENDING_SYNS", "9999"},    {"HAIRPIND_RING_BYTES", "8192"},
      {"HAIRPIND_LOG_LEVEL", "warn"},       {"HAIRPIND_LOG_FORMAT", "json"},
      {"HAIRPIND_QUIET_AFTER", "90"},       {"HAIRPIND_KUBERNETES_EVENTS", "true"},
      {"HAIRPIND_QUIET_AFTER", "90"},       {"HAIRPIND_CLUSTER_DNS", "10.96.0.10"},
      {"HAIRPIND_TLS_CERT_FILE", "/c"},     {"HAIRPIND_TLS_KEY_FILE", "/k"},
      {"HAIRPIND_HEALTH_LISTEN", "[::]:2"},
  };
  for (const auto& [name, value] : variables) {
    setenv(name, value, 1);
  }
  const Configuration configuration = parse({});
  for (const auto& [name, value] : variables) {
    unsetenv(name);
  }
  EXPECT_THAT(configuration.interfaces.pod_globs, ElementsAre("pod*"));
  EXPECT_THAT(configuration.interfaces.uplink_globs, ElementsAre("up*"));
  EXPECT_EQ(configuration.node_name, "n7");
  EXPECT_EQ(configuration.kubeconfig, "/kubeconfig");
  EXPECT_EQ(configuration.cilium_bpffs, "/bpf");
  EXPECT_EQ(configuration.conntrack, "netlink");
  EXPECT_EQ(configuration.reset_sensor, "drop");
  EXPECT_EQ(configuration.attach, "clsact");
  EXPECT_EQ(configuration.alerts, "/alerts");
  EXPECT_EQ(configuration.listen, "127.0.0.1:1");
  EXPECT_EQ(configuration.health_listen, "[::]:2");
  EXPECT_EQ(configuration.tls_cert_file, "/c");
  EXPECT_EQ(configuration.tls_key_file, "/k");
  EXPECT_EQ(configuration.handshake_timeout, 7s);
  EXPECT_EQ(configuration.repeat_interval, 8s);
  EXPECT_EQ(configuration.quiet_after, 90s);
  EXPECT_TRUE(configuration.kubernetes_events);
  EXPECT_EQ(configuration.cluster_dns, "10.96.0.10:53");
  EXPECT_EQ(configuration.pending_syns, 9999);
  EXPECT_EQ(configuration.ring_bytes, 8192);
  EXPECT_EQ(configuration.log_level, "warn");
  EXPECT_EQ(configuration.log_format, "json");
  setenv("HAIRPIND_CONFIG", "/nonexistent", 1);
  EXPECT_THAT(error_of({}), HasSubstr("/nonexistent"));
}

TEST_F(ConfigurationTest, AnEmptyListenVariableSwitchesHttpOff) {
  setenv("HAIRPIND_LISTEN", "", 1);
  EXPECT_EQ(parse({}).listen, "");
  EXPECT_EQ(parse({"--listen", "127.0.0.1:1"}).listen, "127.0.0.1:1") << "a flag wins";
  write_file("listen = \"127.0.0.1:2\"\n");
  EXPECT_EQ(parse({"--config", path}).listen, "127.0.0.1:2") << "and so does the file";
}

TEST_F(ConfigurationTest, TheFileIsToml) {
  write_file(R"(# lists over many lines, with a comma at the end
lb = [
  "10.0.5.5:443",  # the first
  '[fd00:5::5]:443',
]
"pod-interface" = []
handshake-timeout = 0.5
repeat-interval = 5
pending-syns = 1_024
ring-bytes = 0x2000
node-name = "n\u0031 # \"7\""
)");
  const Configuration configuration = parse({"--config", path});
  ASSERT_EQ(configuration.load_balancers.size(), 2);
  EXPECT_EQ(std::get<Frontend>(configuration.load_balancers[1]).to_string(), "[fd00:5::5]:443");
  EXPECT_TRUE(configuration.interfaces.pod_globs.empty());
  EXPECT_EQ(configuration.handshake_timeout, 500ms);
  EXPECT_EQ(configuration.repeat_interval, 5s);
  EXPECT_EQ(configuration.pending_syns, 1024);
  EXPECT_EQ(configuration.ring_bytes, 8192);
  EXPECT_EQ(configuration.node_name, "n1 # \"7\"");
}

TEST_F(ConfigurationTest, ErrorsInTheFileNameTheLine) {
  const struct {
    const char* text;
    std::vector<const char*> says;
  } tests[] = {
      {"lb = [\"10.0.5.5\"]\n\nnode-nam = \"x\"\n", {"line 3", "'node-nam'", "is 'node-name' meant?"}},
      {"lbs = [\"10.0.5.5\"]\n", {"line 1", "'lbs'", "is 'lb' meant?"}},
      {"a = 1\n", {"line 1", "'a'; keys are"}},
      {"\"\" = 1\n", {"line 1", "''; keys are"}},
      {"kubernetes = true\n", {"line 1", "'kubernetes'", "names without dashes in front"}},
      {"config = \"other.toml\"\n", {"line 1", "unknown key 'config'"}},
      {"help = true\n", {"line 1", "unknown key 'help'"}},
      {"lb = [\n\"10.0.5.5\",\n{ address = \"10.0.5.6\" },\n]\n", {"line 3", "'lb' takes a text"}},
      {"[node-name]\nx = 1\n", {"line 1", "'node-name' takes a text"}},
      {"listen = 2026-11-25\n", {"line 1", "'listen' takes a text"}},
      {"listen = \"a\"\nlisten = \"b\"\n", {"line 2", "listen"}},
      {"lb = [\"10.0.5.5\"\n", {"array"}},
      {"listen = localhost:9\n", {"line 1"}},
      {"listen = \"\xff\"\n", {"line 1"}},
      {"pending-syns = [1024, 2048]\n", {"--pending-syns"}},
  };
  for (const auto& test : tests) {
    write_file(test.text);
    const std::string error = error_of({"--config", path});
    for (const char* const words : test.says) {
      EXPECT_THAT(error, HasSubstr(words)) << test.text;
    }
    EXPECT_THAT(error, ::testing::Not(HasSubstr("\n"))) << test.text;
  }
  write_file("log-level = \"error\"\nnode-nam = 1\n");
  EXPECT_THAT(error_of({"--config", path}), HasSubstr("'" + path + "'"));
}

TEST_F(ConfigurationTest, ErrorsNameTheValue) {
  EXPECT_THAT(error_of({"--repeat-interval", "nan"}), HasSubstr("nan is no number"));
  EXPECT_THAT(error_of({"--handshake-timeout", "-nan"}), HasSubstr("is no number"));
  EXPECT_THAT(error_of({"--lb", "10.0.5"}), HasSubstr("'10.0.5'"));
  EXPECT_THAT(error_of({"--lbs", "x"}), HasSubstr("--lbs"));
  EXPECT_THAT(error_of({"--log-level", "loud"}), HasSubstr("loud"));
  EXPECT_THAT(error_of({"--log-format", "xml"}), HasSubstr("xml"));
  EXPECT_THAT(error_of({"--conntrack", "kernel"}), HasSubstr("kernel"));
  EXPECT_THAT(error_of({"--attach", "xdp"}), HasSubstr("xdp"));
  EXPECT_THAT(error_of({"--pending-syns", "-1"}), HasSubstr("--pending-syns"));
  EXPECT_THAT(error_of({"--ring-bytes", "5000"}), HasSubstr("5000 is no power of two"));
  EXPECT_THAT(error_of({"--ring-bytes", "2048"}), HasSubstr("--ring-bytes"));
  EXPECT_THAT(error_of({"--repeat-interval", "soon"}), HasSubstr("--repeat-interval"));
  EXPECT_THAT(error_of({"--config", "/nonexistent"}), HasSubstr("/nonexistent"));
  write_file("node-nam = \"x\"\n");
  EXPECT_THAT(error_of({"--config", path}), HasSubstr("node-nam"));
  for (const auto& arguments : std::vector<std::vector<std::string>>{{"--lb", ""}, {"--lbs"}, {"--config", path}}) {
    EXPECT_THAT(error_of(arguments), ::testing::Not(HasSubstr("\n")));
  }
}

TEST_F(ConfigurationTest, ACertificateHasItsKey) {
  write_file("tls-cert-file = \"/c\"\ntls-key-file = \"/k\"\nhealth-listen = \"127.0.0.1:9478\"\n");
  const Configuration configuration = parse({"--config", path});
  EXPECT_EQ(configuration.tls_cert_file, "/c");
  EXPECT_EQ(configuration.tls_key_file, "/k");
  EXPECT_EQ(configuration.health_listen, "127.0.0.1:9478");
  EXPECT_THAT(error_of({"--tls-cert-file", "/c"}), HasSubstr("--tls-cert-file is given without --tls-key-file"));
  EXPECT_THAT(error_of({"--tls-key-file", "/k"}), HasSubstr("--tls-key-file is given without --tls-cert-file"));
  EXPECT_THAT(error_of({"--config", path, "--listen", ""}), HasSubstr("--listen is off"));
}

TEST_F(ConfigurationTest, HelpListsEveryOption) {
  const auto parsed = parse_run_options({"--help"});
  ASSERT_TRUE(parsed);
  const std::string& text = std::get<HelpText>(*parsed).text;
  for (const char* const option :
       {"--lb", "--pod-interface", "--uplink", "--node-name", "--alerts", "--listen", "--health-listen",
        "--tls-cert-file", "--tls-key-file", "--handshake-timeout", "--repeat-interval", "--pending-syns",
        "--ring-bytes", "--cilium-bpffs", "--conntrack", "--log-level", "--log-format", "--config"}) {
    EXPECT_THAT(text, HasSubstr(option));
  }
}

}  // namespace
}  // namespace hairpind
