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
      kubeconfig_access(config("server: 'https://10.0.0.1:6443', certificate-authority-data: YSBQRU0=", "token: t0"));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->url(), "https://10.0.0.1:6443");
  EXPECT_EQ(access->ca_pem, "a PEM");
  EXPECT_EQ(access->token, "t0");
  EXPECT_TRUE(access->verify);
}

TEST_F(ClusterAccessTest, FilesAreRelativeToTheKubeconfig) {
  write("ca.pem", "CA");
  write("crt.pem", "CERT");
  write("key.pem", "KEY");
  const auto access = kubeconfig_access(config("server: 'https://[fd00::1]', certificate-authority: ca.pem",
                                               "client-certificate: crt.pem, client-key: key.pem"));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(access->url(), "https://[fd00::1]:443");
  EXPECT_EQ(access->ca_pem, "CA");
  EXPECT_EQ(access->client_certificate_pem, "CERT");
  EXPECT_EQ(access->client_key_pem, "KEY");
}

TEST_F(ClusterAccessTest, EachErrorNamesTheFileAndWhatIsWrong) {
  const auto error_of = [&](const std::string& path) {
    const auto access = kubeconfig_access(path);
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
  EXPECT_THAT(error_of(config("server: 'https://x'", "exec: {command: aws}")), HasSubstr("needs a program"));
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
