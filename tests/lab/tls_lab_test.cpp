// SPDX-License-Identifier: Apache-2.0
// The agent's listener with TLS, the one for probes beside it, and who asks them: curl, and hairpind itself. Needs
// root.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent_process.hpp"
#include "certificates.hpp"
#include "command_output.hpp"
#include "lab_test.hpp"

namespace hairpind::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class TlsLabTest : public LabTest {
 protected:
  void SetUp() override {
    LabTest::SetUp();
    if (IsSkipped()) {
      return;
    }
    std::string pattern = "/tmp/hairpind-tls-lab-XXXXXX";
    directory = mkdtemp(pattern.data());
    std::filesystem::create_directory(pair());
    std::ofstream(directory + "/ca") << certificates.ca;
    std::ofstream(directory + "/other-ca") << certificates.other_ca;
    write_pair(certificates.server);
  }
  void TearDown() override {
    if (!directory.empty()) {
      std::filesystem::remove_all(directory);
    }
  }

  [[nodiscard]] std::string pair() const { return directory + "/pair"; }
  /// For nobody but another user, as certbot's may be: the agent reads it again when it has given up its rights.
  void write_pair(const KeyPair& given) const {
    std::ofstream(pair() + "/tls.crt") << given.certificate;
    std::ofstream(pair() + "/tls.key") << given.private_key;
    for (const std::string& path : {pair() + "/tls.crt", pair() + "/tls.key", pair()}) {
      EXPECT_EQ(chown(path.c_str(), 65534, 65534), 0);
      EXPECT_EQ(chmod(path.c_str(), path == pair() ? 0700 : 0600), 0);
    }
  }

  CommandOutput on_the_node(const std::string& command) {
    CommandOutput output;
    lab().inside("node", [&] { output = output_of(command + " 2>&1"); });
    return output;
  }
  std::string curl(const std::string& arguments) {
    return on_the_node("curl -sS --noproxy '*' -m 20 " + arguments).text;
  }
  std::string scrape(const std::string& ca) {
    return curl("--cacert " + directory + "/" + ca + " https://127.0.0.1:9443/metrics");
  }

  std::string directory;
  Certificates certificates = make_certificates();
};

TEST_F(TlsLabTest, PagesByTlsProbesWithout) {
  const AgentProcess agent(
      lab(), {"--lb", "10.0.5.5:443", "--listen", "127.0.0.1:9443", "--tls-cert-file", pair() + "/tls.crt",
              "--tls-key-file", pair() + "/tls.key", "--health-listen", "127.0.0.1:9477"});
  ASSERT_TRUE(agent.wait_until_ready());
  EXPECT_EQ(agent.get("/healthz").first, 200);
  EXPECT_EQ(agent.get("/metrics").first, 404);
  EXPECT_TRUE(agent.logs("cap_dac_read_search")) << agent.standard_error();

  EXPECT_THAT(scrape("ca"), HasSubstr("hairpind_build_info"));
  EXPECT_THAT(scrape("other-ca"), HasSubstr("certificate"));
  EXPECT_THAT(curl("-k https://127.0.0.1:9443/readyz"), StartsWith("ready"));
  EXPECT_THAT(curl("http://127.0.0.1:9443/metrics"), HasSubstr("Empty reply"));
  const CommandOutput status = on_the_node(HAIRPIND_BINARY " status --listen 127.0.0.1:9443");
  EXPECT_EQ(status.status, 0) << status.text;
  EXPECT_THAT(status.text, HasSubstr("healthy, ready"));

  write_pair(certificates.other_server);
  EXPECT_TRUE(eventually([&] { return scrape("other-ca").find("hairpind_build_info") != std::string::npos; }))
      << agent.standard_error();
  EXPECT_TRUE(agent.logs("read again, valid until ")) << agent.standard_error();
  EXPECT_THAT(scrape("other-ca"), HasSubstr("\nhairpind_tls_certificate_current 1\n"));
  std::ofstream(pair() + "/tls.key") << "no key";
  EXPECT_TRUE(agent.logs("tls.key' is not PEM; the listener goes on with the certificate that it has"));
  EXPECT_THAT(scrape("other-ca"), HasSubstr("\nhairpind_tls_certificate_current 0\n"));
  EXPECT_EQ(agent.get("/healthz").first, 200);
}

}  // namespace
}  // namespace hairpind::testing
