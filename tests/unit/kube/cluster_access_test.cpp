// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cluster_access.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace hairpind {
namespace {

using ::testing::HasSubstr;

class ClusterAccessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/hairpind-kubeconfig-XXXXXX";
    directory = mkdtemp(name.data());
  }
  void TearDown() override {
    std::filesystem::remove_all(directory);
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
  }

  void write(const std::string& name, const std::string& text) const { std::ofstream(directory + "/" + name) << text; }

  std::string config(const std::string& cluster, const std::string& user) const {
    const std::string path = directory + "/config";
    std::ofstream(path) << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                           "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
                           "clusters: [{name: other, cluster: {}}, {name: k, cluster: {"
                        << cluster << "}}]\nusers: [{name: u, user: {" << user << "}}]\n";
    return path;
  }

  std::string directory;
};

TEST_F(ClusterAccessTest, TokenAndInlineCa) {
  // base64 of "a PEM", whose last group is padded.
  const auto access =
      kubeconfig_access({config("server: 'https://10.0.0.1:6443', certificate-authority-data: YSBQRU0=", "token: t0")});
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->url(), "https://10.0.0.1:6443");
  EXPECT_EQ(*access->ca.read(), "a PEM");
  EXPECT_EQ(access->token, "t0");
  EXPECT_TRUE(access->verify);
}

TEST_F(ClusterAccessTest, FilesAreRelativeToTheKubeconfig) {
  write("ca.pem", "CA");
  write("crt.pem", "CERT");
  write("key.pem", "KEY");
  const auto access = kubeconfig_access({config("server: 'https://[fd00::1]', certificate-authority: ca.pem",
                                                "client-certificate: crt.pem, client-key: key.pem")});
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->url(), "https://[fd00::1]:443");
  EXPECT_EQ(*access->ca.read(), "CA");
  EXPECT_EQ(*access->client_certificate.read(), "CERT");
  EXPECT_EQ(*access->client_key.read(), "KEY");
}

TEST_F(ClusterAccessTest, PathsProxiesAndNamesOfCertificates) {
  const auto access = kubeconfig_access(
      {config("server: 'https://rancher.example.com/k8s/clusters/c-m-aaaa/', tls-server-name: k8s.internal, "
              "proxy-url: 'http://u:p@proxy.example.com:3128'",
              "token: t0")});
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->host, "rancher.example.com");
  EXPECT_EQ(access->path, "/k8s/clusters/c-m-aaaa");
  EXPECT_EQ(access->url(), "https://rancher.example.com:443/k8s/clusters/c-m-aaaa");
  EXPECT_EQ(access->server_name, "k8s.internal");
  EXPECT_EQ(access->proxy, (HttpProxy{.host = "proxy.example.com", .port = 3128, .authorization = "Basic dTpw"}));
}

TEST_F(ClusterAccessTest, ExecPlugins) {
  const auto access = kubeconfig_access({config(
      "server: 'https://x', certificate-authority-data: YSBQRU0=",
      "exec: {apiVersion: client.authentication.k8s.io/v1, command: bin/login, args: [get, token], env: [{name: A, "
      "value: b}], installHint: get it, interactiveMode: Never, provideClusterInfo: true}")});
  ASSERT_TRUE(access) << access.error().message;
  ASSERT_TRUE(access->exec);
  EXPECT_EQ(access->exec->command, directory + "/bin/login") << "relative to the kubeconfig";
  EXPECT_THAT(access->exec->arguments, ::testing::ElementsAre("get", "token"));
  EXPECT_THAT(access->exec->environment, ::testing::ElementsAre("A=b"));
  EXPECT_EQ(access->exec->install_hint, "get it");
  EXPECT_EQ(access->exec->interactive, ExecPlugin::Interactive::kNever);
  EXPECT_THAT(access->exec->cluster, HasSubstr(R"("certificate-authority-data":"YSBQRU0=")"));
}

TEST_F(ClusterAccessTest, OfSeveralKubeconfigsTheFirstThatHasANameWins) {
  write("one",
        "{contexts: [{name: a, context: {cluster: k, user: u}}], current-context: a, "
        "users: [{name: u, user: {token: first}}]}");
  std::filesystem::create_directory(directory + "/two");
  write("two/ca", "CA");
  write("two/config",
        "{contexts: [{name: b, context: {cluster: k2, user: u}}], current-context: b, users: [{name: u, user: "
        "{token: "
        "second}}], clusters: [{name: k, cluster: {server: 'https://k', certificate-authority: ca}}, {name: k2, "
        "cluster: {server: 'https://k2'}}]}");
  const std::vector<std::string> paths{directory + "/one", directory + "/two/config"};
  auto access = kubeconfig_access(paths);
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->host, "k");
  EXPECT_EQ(access->token, "first");
  EXPECT_EQ(*access->ca.read(), "CA");
  access = kubeconfig_access(paths, "b");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->host, "k2");
  EXPECT_THAT(kubeconfig_access(paths, "c").error().message, HasSubstr("context 'c'"));
}

TEST_F(ClusterAccessTest, KubectlsKubeconfigsAreFound) {
  write("one", "");
  setenv("KUBECONFIG", (directory + "/nowhere::" + directory + "/one:").c_str(), 1);
  EXPECT_THAT(default_kubeconfigs(), ::testing::ElementsAre(directory + "/one"));
  unsetenv("KUBECONFIG");
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  setenv("HOME", directory.c_str(), 1);
  EXPECT_THAT(default_kubeconfigs(), ::testing::IsEmpty());
  std::filesystem::create_directory(directory + "/.kube");
  write(".kube/config", "");
  EXPECT_THAT(default_kubeconfigs(), ::testing::ElementsAre(directory + "/.kube/config"));
  setenv("HOME", home.c_str(), 1);
}

TEST_F(ClusterAccessTest, EachErrorNamesTheFileAndWhatIsWrong) {
  const auto error_of = [&](const std::string& path) {
    const auto access = kubeconfig_access({path});
    EXPECT_FALSE(access);
    return access ? "" : access.error().message;
  };
  EXPECT_THAT(error_of("/nonexistent"), HasSubstr("'/nonexistent': No such file"));
  EXPECT_THAT(error_of(directory), HasSubstr("Is a directory"));
  write("bad", "a: [b");
  EXPECT_THAT(error_of(directory + "/bad"), HasSubstr(directory + "/bad"));
  write("list", "- 1\n");
  EXPECT_THAT(error_of(directory + "/list"), HasSubstr("no kubeconfig"));
  write("empty", "kind: Config\n");
  EXPECT_THAT(error_of(directory + "/empty"), HasSubstr("current-context ''"));
  EXPECT_THAT(error_of(config("server: 'http://x'", "token: t")), HasSubstr("expected https://"));
  EXPECT_THAT(error_of(config("server: 'https://x:99999'", "token: t")), HasSubstr("expected https://"));
  EXPECT_THAT(error_of(config("server: 'https://x', certificate-authority: missing.pem", "token: t")),
              HasSubstr("missing.pem"));
  EXPECT_THAT(error_of(config("server: 'https://x', certificate-authority-data: '%%%'", "token: t")),
              HasSubstr("base64"));
  EXPECT_THAT(error_of(config("server: 'https://x', proxy-url: 'socks5://p:1080'", "token: t")),
              HasSubstr("a proxy by socks5 is not supported"));
  EXPECT_THAT(error_of(config("server: 'https://x', proxy-url: 'p:1080'", "token: t")), HasSubstr("http://HOST:PORT"));
  EXPECT_THAT(error_of(config("server: 'https://u:p@x'", "token: t")), HasSubstr("expected https://"));
  for (const char* const user :
       {"auth-provider: {name: gcp}", "username: u, password: p", "token: t, as: admin", "token: t, as-groups: [g]"}) {
    EXPECT_THAT(error_of(config("server: 'https://x'", user)), HasSubstr("is not supported")) << user;
  }
  EXPECT_THAT(error_of(config("server: 'https://x'", "exec: {command: aws}")), HasSubstr("expected client."));
  EXPECT_THAT(error_of(config("server: 'https://x'",
                              "exec: {command: aws, apiVersion: client.authentication.k8s.io/v1alpha1}")),
              HasSubstr("v1alpha1' is not supported"));
  EXPECT_THAT(
      error_of(config("server: 'https://x'",
                      "exec: {command: aws, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Often}")),
      HasSubstr("interactiveMode 'Often' is not supported"));
  EXPECT_THAT(error_of(config("server: 'https://x'", "tokenFile: nowhere")), HasSubstr("nowhere"));
}

TEST_F(ClusterAccessTest, InClusterNeedsItsVariablesAndFiles) {
  EXPECT_THAT(in_cluster_access(directory).error().message, HasSubstr("KUBERNETES_SERVICE_HOST"));
  setenv("KUBERNETES_SERVICE_HOST", "fd00:10::1", 1);
  setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  EXPECT_THAT(in_cluster_access(directory).error().message, HasSubstr("ca.crt"));
  write("ca.crt", "CA");
  EXPECT_THAT(in_cluster_access(directory).error().message, HasSubstr("automountServiceAccountToken"));
  write("token", "t");
  const auto access = in_cluster_access(directory);
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->url(), "https://[fd00:10::1]:443");
  EXPECT_EQ(access->token_file, directory + "/token");
}

}  // namespace
}  // namespace hairpind
