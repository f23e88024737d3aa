// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/api_client.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <thread>

#include "api_access.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/kube/collection.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;
using testing::access_to;
using testing::ApiServer;
using ::testing::HasSubstr;

constexpr const char* kPods = "/api/v1/pods";

class ApiClientTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);
    std::string name = "/tmp/hairpind-client-XXXXXX";
    directory = mkdtemp(name.data());
    access = access_to(server);
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(directory + "/" + name) << text;
    return directory + "/" + name;
  }

  std::unique_ptr<ApiClient> client() const { return *ApiClient::create(access); }
  static int status(ApiClient& client) {
    const auto response = client.get(kPods);
    EXPECT_TRUE(response) << response.error().message;
    return response ? response->status : -1;
  }
  std::string error() const {
    const auto response = client()->get(kPods);
    EXPECT_FALSE(response);
    return response ? "" : response.error().message;
  }

  ApiServer server;
  ClusterAccess access;
  std::string directory;
};

TEST_F(ApiClientTest, ATokensFileWinsAndIsReadForEachRequest) {
  access.token_file = write("token", server.token() + "\n");
  access.token = "another";
  const auto asking = client();
  EXPECT_EQ(status(*asking), 200);
  server.set_token("rotated");
  EXPECT_EQ(status(*asking), 401);
  write("token", "rotated\n");
  EXPECT_EQ(status(*asking), 200);
  write("token", "\n");
  EXPECT_THAT(error(), HasSubstr(access.token_file + "' is empty"));
  write("token", "two\nlines");
  EXPECT_THAT(error(), HasSubstr("more than a token"));
}

TEST_F(ApiClientTest, AChangeGoesWithItsBodyAndBringsTheObjectOrTheRefusal) {
  const std::string events = "/api/v1/namespaces/shop/events";
  const std::string object = R"({"apiVersion":"v1","kind":"Event","metadata":{"name":"a.1","namespace":"shop"},
    "involvedObject":{"namespace":"shop"},"firstTimestamp":"2026-11-26T14:52:38Z","lastTimestamp":"2026-11-26T14:52:38Z"})";
  const auto asking = client();
  const auto made = asking->send(events, {.method = "POST", .content_type = "application/json", .body = object});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->status, 201);
  EXPECT_THAT(made->body, HasSubstr(R"("name":"a.1")"));
  const auto again = asking->send(events, {.method = "POST", .content_type = "application/json", .body = object});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->status, 409);
  EXPECT_THAT(again->body, HasSubstr("already exists"));
  const auto changed = asking->send(
      events + "/a.1",
      {.method = "PATCH", .content_type = "application/merge-patch+json", .body = R"({"message":"an ä"})"});
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->status, 200);
  EXPECT_THAT(changed->body, HasSubstr("an ä"));
  const auto refused = asking->send(events + "/a.1", {.method = "PATCH", .content_type = "text/plain", .body = "{}"});
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->status, 415);
  EXPECT_EQ(status(*asking), 200) << "and the connection is good for more";
}

TEST_F(ApiClientTest, TheCaIsReadAgainWhenItChanges) {
  access.ca = {.text = "", .file = write("ca", server.certificates().other_ca)};
  const auto asking = client();
  EXPECT_THAT(asking->get(kPods).error().message, HasSubstr("not signed by the expected CA"));
  // Both, while one replaces the other.
  write("ca", server.certificates().other_ca + server.certificates().ca);
  EXPECT_EQ(status(*asking), 200);
  write("ca", server.certificates().other_ca);
  EXPECT_FALSE(asking->get(kPods)) << "what is open stands for a CA that is trusted no more";
}

TEST_F(ApiClientTest, TheClientsCertificateIsReadAgainWhenItChanges) {
  const testing::Certificates others = testing::make_certificates();
  access.token.clear();
  access.client_certificate.file = write("crt", others.client.certificate);
  access.client_key.file = write("key", others.client.private_key);
  const auto asking = client();
  EXPECT_EQ(status(*asking), 401);
  write("crt", server.certificates().client.certificate);
  EXPECT_THAT(asking->get(kPods).error().message, HasSubstr("do not belong together"));
  write("key", server.certificates().client.private_key);
  EXPECT_EQ(status(*asking), 200);
}

TEST_F(ApiClientTest, NobodyIsAskedForAKeysPassword) {
  access.client_certificate.text = server.certificates().client.certificate;
  access.client_key.text = testing::locked(server.certificates().client.private_key);
  // Where there is no terminal OpenSSL would take it from here.
  const FileDescriptor standard_input(dup(STDIN_FILENO));
  const FileDescriptor password(open(write("password", "secret\n").c_str(), O_RDONLY | O_CLOEXEC));
  dup2(password.get(), STDIN_FILENO);
  EXPECT_THAT(error(), HasSubstr("the client certificate's key is not PEM without a password"));
  dup2(standard_input.get(), STDIN_FILENO);
}

TEST_F(ApiClientTest, EveryFailureNamesItsReason) {
  EXPECT_EQ(status(*client()), 200);
  const ClusterAccess right = access;

  access.server_name = "api.internal";
  EXPECT_THAT(error(), HasSubstr("its certificate is not for 'api.internal'"));
  access = right;
  access.host = "localhost";
  EXPECT_EQ(status(*client()), 200);
  access.host = "no-such-host.invalid";
  EXPECT_THAT(error(), HasSubstr("resolve 'no-such-host.invalid'"));
  access = right;
  access.ca.text = "no PEM";
  EXPECT_THAT(error(), HasSubstr("CA certificate is not PEM"));
  access = right;
  access.ca.file = directory + "/nowhere";
  EXPECT_THAT(error(), HasSubstr("nowhere': No such file"));
  access = right;
  access.client_certificate.text = "no PEM";
  access.client_key.text = server.certificates().client.private_key;
  EXPECT_THAT(error(), HasSubstr("the client certificate is not PEM"));
  access.client_certificate.text = server.certificates().client.certificate;
  access.client_key.text = "no PEM";
  EXPECT_THAT(error(), HasSubstr("the client certificate's key is not PEM"));
  EXPECT_THAT(error(), ::testing::Not(HasSubstr("password")));

  access = right;
  server.set_faults({.drop_connections = true});
  EXPECT_THAT(error(), HasSubstr("TLS handshake"));
  server.set_faults({});
  {
    const ApiServer expired(
        {.certificates = testing::make_certificates(testing::kLoopbackNames, std::chrono::hours(-1))});
    access.port = expired.port();
    access.ca.text = expired.certificates().ca;
    EXPECT_THAT(error(), HasSubstr("certificate has expired"));
  }
  EXPECT_THAT(error(), HasSubstr("https://127.0.0.1:" + std::to_string(access.port) + ": connect: Connection refused"));
}

TEST_F(ApiClientTest, CommonNamesAreNoNames) {
  // Its common name is "kube-apiserver", its only alternative name an address.
  const ApiServer elsewhere({.certificates = testing::make_certificates("IP:192.0.2.1")});
  access.port = elsewhere.port();
  access.ca.text = elsewhere.certificates().ca;
  EXPECT_THAT(error(), HasSubstr("its certificate is not for '127.0.0.1'"));
  access.server_name = "kube-apiserver";
  EXPECT_THAT(error(), HasSubstr("its certificate is not for 'kube-apiserver'"));
  access.server_name = "192.0.2.1";
  EXPECT_EQ(status(*client()), 200);
}

TEST_F(ApiClientTest, AServerThatClosesIdleConnectionsIsAskedAgain) {
  auto first = std::make_unique<ApiServer>(testing::ApiServerOptions{.certificates = server.certificates()});
  const std::uint16_t port = first->port();
  access.port = port;
  const auto asking = client();
  EXPECT_EQ(status(*asking), 200);
  first.reset();
  const ApiServer second({.port = port, .certificates = server.certificates()});
  EXPECT_EQ(status(*asking), 200);
}

TEST_F(ApiClientTest, StoppingEndsWhatIsBeingWaitedFor) {
  server.set_faults({.stall_requests = true});
  const auto asking = client();
  std::string why;
  std::thread thread([&] { why = asking->get(kPods).error().message; });
  while (server.requests().empty()) {
    std::this_thread::sleep_for(1ms);
  }
  asking->stop();
  thread.join();
  EXPECT_THAT(why, HasSubstr("stopped"));
  EXPECT_THAT(asking->get(kPods).error().message, HasSubstr("stopped")) << "and all later ones";
}

TEST_F(ApiClientTest, EndlessAnswersAreCut) {
  server.set_faults({.endless_status = 403});
  const auto refused = client()->get(kPods);
  ASSERT_TRUE(refused) << refused.error().message;
  EXPECT_EQ(refused->status, 403);
  EXPECT_EQ(refused->body.size(), 64 * 1024);

  server.set_faults({.endless_status = 200});
  EXPECT_THAT(error(), HasSubstr("beyond 4 MiB"));
  const auto listed = list_collection(*client(), {.path = kPods, .field_selector = ""}, {}, [](const auto&) {});
  ASSERT_FALSE(listed);
  EXPECT_THAT(listed.error().why, HasSubstr("an object larger than 32 MiB"));
}

TEST_F(ApiClientTest, LargeListsComeByGzip) {
  for (int i = 0; i < 500; i++) {
    server.upsert(
        "pods", {{"metadata", {{"name", "p" + std::to_string(i)}, {"annotations", {{"a", std::string(1000, 'x')}}}}}});
  }
  int count = 0;
  const auto listed =
      list_collection(*client(), {.path = kPods, .field_selector = ""}, {}, [&](const auto&) { count++; });
  ASSERT_TRUE(listed) << listed.error().why;
  EXPECT_EQ(count, 500);
  EXPECT_EQ(server.count_of("list pods"), 1) << "at once: from the server's cache, which has no pages";
  EXPECT_EQ(server.compressed(), 1);
}

/// A proxy that makes one tunnel, to wherever it is asked for.
class Proxy {
 public:
  Proxy() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    socklen_t length = sizeof(address);
    getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

  /// Answers a question with a refusal; returns the question.
  std::string refuse() const {
    const FileDescriptor client(accept(listener_.get(), nullptr, nullptr));
    std::string question;
    while (!question.ends_with("\r\n\r\n")) {
      char c = 0;
      if (read(client.get(), &c, 1) != 1) {
        break;
      }
      question += c;
    }
    constexpr std::string_view kNo = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    EXPECT_EQ(send(client.get(), kNo.data(), kNo.size(), MSG_NOSIGNAL), static_cast<ssize_t>(kNo.size()));
    return question;
  }

 private:
  FileDescriptor listener_;
  std::uint16_t port_ = 0;
};

TEST_F(ApiClientTest, AProxyIsAskedForATunnel) {
  const Proxy proxy;
  access.host = "api.example.com";
  access.proxy = HttpProxy{.host = "127.0.0.1", .port = proxy.port(), .authorization = "Basic dTpw"};
  std::string question;
  std::thread serving([&] { question = proxy.refuse(); });
  const std::string why = error();
  serving.join();
  EXPECT_THAT(question, HasSubstr("CONNECT api.example.com:" + std::to_string(access.port) + " HTTP/1.1\r\n"));
  EXPECT_THAT(question, HasSubstr("Proxy-Authorization: Basic dTpw\r\n"));
  EXPECT_THAT(why, HasSubstr("proxy 127.0.0.1:" + std::to_string(proxy.port())));
  EXPECT_THAT(why, HasSubstr("the proxy refuses: HTTP/1.1 407"));
}

}  // namespace
}  // namespace hairpind
