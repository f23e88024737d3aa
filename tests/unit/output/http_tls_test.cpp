// SPDX-License-Identifier: Apache-2.0
// The listener with TLS, and the one for probes beside it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../sanitized.hpp"
#include "certificates.hpp"
#include "hairpind/core/openssl.hpp"
#include "hairpind/output/http_server.hpp"
#include "raw_client.hpp"

namespace hairpind {
namespace {

using testing::Certificates;
using testing::eventually;
using ::testing::HasSubstr;
using testing::KeyPair;
using testing::locked;
using testing::RawClient;
using ::testing::StartsWith;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kHere = "127.0.0.1";
constexpr const char* kElsewhere = "127.0.0.2";
constexpr std::string_view kProbe = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kScrape = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
// Less than the deadlines that would let a probe in, if nothing else did.
constexpr seconds kProbeBound{3};

Openssl<SSL_CTX> client_settings(const std::string& ca) {
  Openssl<SSL_CTX> settings(SSL_CTX_new(TLS_client_method()));
  const auto authority = next_certificate(memory_of(ca).get());
  X509_STORE_add_cert(SSL_CTX_get_cert_store(settings.get()), authority.get());
  SSL_CTX_set_verify(settings.get(), SSL_VERIFY_PEER, nullptr);
  return settings;
}

/// A client that believes `ca`.
class TlsClient {
 public:
  TlsClient(std::uint16_t port, const std::string& ca, const char* from = kHere)
      : wire_(port, 0, from), settings_(client_settings(ca)), session_(SSL_new(settings_.get())) {
    SSL_set_fd(session_.get(), wire_.socket());
  }

  [[nodiscard]] bool shake() const {
    ERR_clear_error();
    return SSL_connect(session_.get()) == 1;
  }
  [[nodiscard]] bool send(std::string_view bytes) const {
    return SSL_write(session_.get(), bytes.data(), static_cast<int>(bytes.size())) == std::ssize(bytes);
  }
  /// To the goodbye; "cut" is added where there was none.
  [[nodiscard]] std::string read_all() const {
    std::string all;
    std::array<char, 16384> bytes{};
    for (;;) {
      ERR_clear_error();
      const int got = SSL_read(session_.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (got <= 0) {
        return all + (SSL_get_error(session_.get(), got) == SSL_ERROR_ZERO_RETURN ? "" : "cut");
      }
      all.append(bytes.data(), static_cast<std::size_t>(got));
    }
  }
  [[nodiscard]] std::string ask(std::string_view bytes) const { return shake() && send(bytes) ? read_all() : "no TLS"; }

  [[nodiscard]] SSL* session() const { return session_.get(); }
  [[nodiscard]] const RawClient& wire() const { return wire_; }

 private:
  RawClient wire_;
  Openssl<SSL_CTX> settings_;
  Openssl<SSL> session_;
};

/// What a client begins with.
std::string client_hello() {
  const Openssl<SSL_CTX> settings(SSL_CTX_new(TLS_client_method()));
  const Openssl<SSL> session(SSL_new(settings.get()));
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(session.get(), BIO_new(BIO_s_mem()), out);
  SSL_connect(session.get());
  ERR_clear_error();
  std::string hello(BIO_ctrl_pending(out), '\0');
  BIO_read(out, hello.data(), static_cast<int>(hello.size()));
  return hello;
}

template <typename Write>
std::string pem(Write write) {
  const Openssl<BIO> bio(BIO_new(BIO_s_mem()));
  EXPECT_EQ(write(bio.get()), 1);
  std::string text(BIO_ctrl_pending(bio.get()), '\0');
  BIO_read(bio.get(), text.data(), static_cast<int>(text.size()));
  return text;
}

/// Signed by itself; a signature by so long a key is the dearest that a handshake usually takes.
KeyPair make_rsa_pair() {
  const Openssl<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{3072}));
  const Openssl<X509> certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  return {.certificate = pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate.get()); }),
          .private_key = pem([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

double cpu_seconds(int whose) {
  rusage used{};
  getrusage(whose, &used);
  const auto in_seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + (static_cast<double>(time.tv_usec) / 1e6);
  };
  return in_seconds(used.ru_utime) + in_seconds(used.ru_stime);
}

/// Of all threads but this one: the server's.
double servers_cpu_seconds() {
  return cpu_seconds(RUSAGE_SELF) - cpu_seconds(RUSAGE_THREAD);
}

std::uint64_t resident_kib() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line) && !line.starts_with("VmRSS:")) {
  }
  return std::stoull(line.substr(6));
}

class HttpTlsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::signal(SIGPIPE, SIG_IGN);
    certificates = new Certificates(testing::make_certificates());
  }
  static void TearDownTestSuite() { delete certificates; }

  void SetUp() override {
    std::string pattern = "/tmp/hairpind-tls-XXXXXX";
    directory = mkdtemp(pattern.data());
    files = {.certificate = directory + "/tls.crt", .key = directory + "/tls.key"};
    write_pair(certificates->server);
  }
  void TearDown() override {
    server.reset();
    std::filesystem::remove_all(directory);
  }

  void write_pair(const KeyPair& pair) const {
    std::ofstream(files.certificate) << pair.certificate;
    std::ofstream(files.key) << pair.private_key;
  }

  HttpServer::Handlers handlers() {
    return {.metrics = [this] { return "m\n" + padding; },
            .status = [] { return std::string("{}\n"); },
            .healthy = [] { return true; },
            .ready = [] { return true; },
            .certificate =
                [this](const Result<std::string>& read) {
                  const std::lock_guard lock(mutex);
                  told.push_back(read ? "until " + *read : read.error().message);
                },
            .landing = "<h1>hairpind</h1>"};
  }
  [[nodiscard]] Result<std::unique_ptr<HttpServer>> listen() {
    const ListenAddress any("127.0.0.1", 0);
    return HttpServer::listen({.pages = any, .tls = files, .probes = any}, handlers());
  }
  void start() {
    auto started = listen();
    ASSERT_TRUE(started) << started.error().message;
    server = *std::move(started);
    server->serve();
  }
  std::string error_of_start() {
    const auto started = listen();
    return started ? "" : started.error().message;
  }

  [[nodiscard]] std::string ask(std::string_view bytes, const std::string& ca = certificates->ca) const {
    return TlsClient(server->port(), ca).ask(bytes);
  }
  [[nodiscard]] RawClient elsewhere(std::string_view bytes) const {
    RawClient client(server->port(), 0, kElsewhere);
    EXPECT_TRUE(client.send(bytes));
    return client;
  }
  /// How long the slower of the kubelet's probes takes: by TLS, and by the listener that has none.
  [[nodiscard]] Clock::duration probe() const {
    const auto asked = Clock::now();
    EXPECT_THAT(ask(kProbe), StartsWith("HTTP/1.1 200 OK\r\n"));
    const auto answered = Clock::now();
    const RawClient plain(server->probes_port());
    EXPECT_TRUE(plain.send(kProbe));
    EXPECT_THAT(plain.read_all(), StartsWith("HTTP/1.1 200 OK\r\n"));
    return std::max(answered - asked, Clock::now() - answered);
  }
  std::string last_told() {
    const std::lock_guard lock(mutex);
    return told.empty() ? "" : told.back();
  }

  static inline Certificates* certificates = nullptr;
  std::string directory;
  TlsFiles files;
  std::string padding;
  std::mutex mutex;
  std::vector<std::string> told;
  std::unique_ptr<HttpServer> server;
};

TEST_F(HttpTlsTest, PagesAreServedWhole) {
  padding = std::string(8U << 20U, '#');
  start();
  const std::string page = ask(kScrape);
  EXPECT_THAT(page, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(page.ends_with("\r\n\r\nm\n" + padding)) << page.size();
  EXPECT_THAT(ask("GET / HTTP/1.1\r\n\r\n"), HasSubstr("<h1>hairpind</h1>"));
  EXPECT_THAT(ask("GET /v1/status HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(TlsClient(server->port(), certificates->ca, kElsewhere).ask("GET /v1/status HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 403 Forbidden\r\n"));
  EXPECT_THAT(ask("POST / HTTP/1.1\r\n\r\n"), StartsWith("HTTP/1.1 405 Method Not Allowed\r\n"));
  EXPECT_EQ(ask(kScrape, certificates->other_ca), "no TLS") << "it is known by its certificate";
}

TEST_F(HttpTlsTest, OldTlsIsRefusedAndNothingIsRemembered) {
  start();
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const TlsClient client(server->port(), certificates->ca);
    SSL_set_min_proto_version(client.session(), version);
    SSL_set_max_proto_version(client.session(), version);
    EXPECT_THAT(client.ask(kProbe), StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_EQ(SSL_SESSION_is_resumable(SSL_get_session(client.session())), 0);
  }
  const TlsClient old(server->port(), certificates->ca);
  SSL_set_security_level(old.session(), 0);
  SSL_set_min_proto_version(old.session(), TLS1_VERSION);
  SSL_set_max_proto_version(old.session(), TLS1_1_VERSION);
  ERR_clear_error();
  EXPECT_NE(SSL_connect(old.session()), 1);
  EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
}

// The client's choice would be the server's cost.
TEST_F(HttpTlsTest, LargeFieldsAreRefused) {
  start();
  const TlsClient client(server->port(), certificates->ca);
  std::string fields = "ffdhe8192:ffdhe2048";
  ASSERT_EQ(SSL_ctrl(client.session(), SSL_CTRL_SET_GROUPS_LIST, 0, fields.data()), 1);
  EXPECT_EQ(client.ask(kProbe), "no TLS");
}

TEST_F(HttpTlsTest, HandsAreShakenOnce) {
  start();
  const TlsClient client(server->port(), certificates->ca);
  SSL_set_max_proto_version(client.session(), TLS1_2_VERSION);
  ASSERT_TRUE(client.shake());
  SSL_renegotiate(client.session());
  EXPECT_NE(SSL_do_handshake(client.session()), 1);
}

// As `openssl s_client` and some libraries do: "I am done", and then read.
TEST_F(HttpTlsTest, WhoSaysGoodbyeAfterItsQuestionHearsTheAnswer) {
  padding = std::string(1U << 20U, '#');
  start();
  const TlsClient client(server->port(), certificates->ca);
  ASSERT_TRUE(client.shake());
  // Both in one piece.
  const int yes = 1;
  setsockopt(client.wire().socket(), IPPROTO_TCP, TCP_CORK, &yes, sizeof(yes));
  ASSERT_TRUE(client.send(kScrape));
  SSL_shutdown(client.session());
  client.wire().end_sending();
  EXPECT_TRUE(client.read_all().ends_with("\r\n\r\nm\n" + padding));
}

TEST_F(HttpTlsTest, PlainHttpEndsQuietly) {
  start();
  const RawClient client(server->port());
  // More than is looked at.
  EXPECT_TRUE(client.send("GET /metrics HTTP/1.1\r\nX: " + std::string(6000, 'x') + "\r\n\r\n"));
  std::array<char, 16> bytes{};
  EXPECT_EQ(recv(client.socket(), bytes.data(), bytes.size(), 0), 0) << "no word, and no reset";
  EXPECT_LT(probe(), kProbeBound);
}

TEST_F(HttpTlsTest, TheProbesListenerServesNothingElse) {
  start();
  const auto plain = [&](const std::string& path) {
    const RawClient client(server->probes_port());
    EXPECT_TRUE(client.send("GET " + path + " HTTP/1.1\r\n\r\n"));
    return client.read_all();
  };
  EXPECT_THAT(plain("/healthz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(plain("/readyz"), StartsWith("HTTP/1.1 200 OK\r\n"));
  for (const char* const path : {"/", "/metrics", "/v1/status", "/elsewhere"}) {
    EXPECT_THAT(plain(path), StartsWith("HTTP/1.1 404 Not Found\r\n")) << path;
  }
}

TEST_F(HttpTlsTest, TheProbesListenerIsEnough) {
  const auto started = HttpServer::listen({.probes = ListenAddress("127.0.0.1", 0)}, handlers());
  ASSERT_TRUE(started) << started.error().message;
  (*started)->serve();
  EXPECT_EQ((*started)->port(), 0);
  const RawClient client((*started)->probes_port());
  EXPECT_TRUE(client.send(kProbe));
  EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 200 OK\r\n"));
  const auto second = HttpServer::listen({.probes = ListenAddress("127.0.0.1", (*started)->probes_port())}, {});
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message, HasSubstr("--health-listen"));
}

TEST_F(HttpTlsTest, ANewPairIsTakenWithoutARestart) {
  start();
  const TlsClient before(server->port(), certificates->ca);
  ASSERT_TRUE(before.shake());
  write_pair(certificates->other_server);
  EXPECT_TRUE(eventually([&] { return ask(kProbe, certificates->other_ca).starts_with("HTTP/1.1 200 OK\r\n"); }));
  EXPECT_EQ(ask(kProbe), "no TLS");
  EXPECT_TRUE(eventually([&] { return last_told().starts_with("until 20"); })) << last_told();
  // Unless that has taken longer than a client may.
  EXPECT_TRUE(before.wire().is_cut() || (before.send(kProbe) && before.read_all().starts_with("HTTP/1.1 200 OK\r\n")))
      << "who has begun goes on";
}

// As the kubelet does it: a directory in place of another, by one link.
TEST_F(HttpTlsTest, ASecretsNewVersionIsTaken) {
  for (const char* const version : {"/v1", "/v2"}) {
    std::filesystem::create_directory(directory + version);
    const bool first = std::string_view(version) == "/v1";
    files = {.certificate = directory + version + "/tls.crt", .key = directory + version + "/tls.key"};
    write_pair(first ? certificates->server : certificates->other_server);
  }
  std::filesystem::create_symlink("v1", directory + "/..data");
  files = {.certificate = directory + "/..data/tls.crt", .key = directory + "/..data/tls.key"};
  start();
  EXPECT_THAT(ask(kProbe), StartsWith("HTTP/1.1 200 OK\r\n"));
  std::filesystem::create_symlink("v2", directory + "/..data_tmp");
  std::filesystem::rename(directory + "/..data_tmp", directory + "/..data");
  EXPECT_TRUE(eventually([&] { return ask(kProbe, certificates->other_ca).starts_with("HTTP/1.1 200 OK\r\n"); }));
}

TEST_F(HttpTlsTest, ABrokenPairLeavesTheOneBefore) {
  start();
  const auto goes_on_and_says = [&](const std::string& words) {
    EXPECT_TRUE(eventually([&] { return last_told().find(words) != std::string::npos; })) << last_told();
    EXPECT_THAT(ask(kProbe), StartsWith("HTTP/1.1 200 OK\r\n"));
  };
  write_pair({.certificate = certificates->other_server.certificate, .private_key = certificates->server.private_key});
  goes_on_and_says("is not that of the certificate");
  std::ofstream(files.certificate) << "no PEM";
  goes_on_and_says("is not PEM");
  std::filesystem::remove(files.key);
  std::filesystem::remove(files.certificate);
  goes_on_and_says("No such file or directory");
  write_pair(certificates->other_server);
  EXPECT_TRUE(eventually([&] { return ask(kProbe, certificates->other_ca).starts_with("HTTP/1.1 200 OK\r\n"); }));
  EXPECT_TRUE(eventually([&] { return last_told().starts_with("until 20"); })) << last_told();
}

TEST_F(HttpTlsTest, APairThatCannotBeUsedIsAnErrorAtTheStart) {
  const std::string good_key = certificates->server.private_key;
  const struct {
    const char* description;
    std::string certificate;
    std::string key;
    const char* says;
  } cases[] = {
      {"no certificate", "hello", good_key, "tls.crt' is not PEM"},
      {"no key", certificates->server.certificate, "hello", "tls.key' is not PEM"},
      {"a password", certificates->server.certificate, locked(good_key), "tls.key' is not PEM without a password"},
      {"another's key", certificates->server.certificate, certificates->other_server.private_key, "is not that of"},
      {"a key of another kind", certificates->server.certificate, make_rsa_pair().private_key, "is not that of"},
      {"too large", std::string(2U << 20U, '#'), good_key, "too large"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.description);
    write_pair({.certificate = test.certificate, .private_key = test.key});
    EXPECT_THAT(error_of_start(), HasSubstr(test.says));
  }
  std::filesystem::remove(files.key);
  std::ofstream(files.certificate) << certificates->server.certificate;
  EXPECT_THAT(error_of_start(), HasSubstr("tls.key' for TLS: No such file or directory"));
  std::filesystem::create_directory(files.key);
  EXPECT_THAT(error_of_start(), HasSubstr("it is no file"));
  std::filesystem::remove(files.key);
  ASSERT_EQ(mkfifo(files.key.c_str(), 0600), 0);
  EXPECT_THAT(error_of_start(), HasSubstr("it is no file"));
}

TEST_F(HttpTlsTest, DrippersDoNotLockOutTheProbesAndAreCut) {
  start();
  const std::string hello = client_hello();
  std::vector<RawClient> drippers;
  for (int i = 0; i < 16; i++) {
    drippers.push_back(elsewhere(hello.substr(0, 20)));
  }
  EXPECT_LT(probe(), kProbeBound);
  std::size_t next = 20;
  EXPECT_TRUE(eventually([&] {
    next++;
    return std::ranges::all_of(drippers, [&](const RawClient& dripper) {
      return dripper.is_cut() || !dripper.send(hello.substr(next % hello.size(), 1));
    });
  }));
}

TEST_F(HttpTlsTest, WhoIsHereHasPlacesThatNobodyElseTakes) {
  start();
  const RawClient here(server->port());
  const RawClient here_plain(server->probes_port());
  std::vector<RawClient> idle;
  for (std::size_t i = 0; i < 3 * HttpServer::kMostAsking; i++) {
    idle.emplace_back(i % 2 == 0 ? server->port() : server->probes_port(), 0, kElsewhere);
  }
  EXPECT_TRUE(eventually([&] {
    return std::ranges::count_if(idle, &RawClient::is_cut) >=
           static_cast<std::ptrdiff_t>(idle.size() - HttpServer::kMostAsking);
  }));
  EXPECT_FALSE(here.is_cut());
  EXPECT_FALSE(here_plain.is_cut());
  EXPECT_LT(probe(), kProbeBound);
}

// By the dearest of keys, all the time, by more than have places.
TEST_F(HttpTlsTest, HandshakesTakeATenthOfACoreAndProbesComeFirst) {
  const KeyPair pair = make_rsa_pair();
  write_pair(pair);
  start();
  const std::string hello = client_hello();
  std::vector<RawClient> clients;
  std::size_t oldest = 0;
  const auto flood = [&] {
    if (clients.size() < 2 * HttpServer::kMostAsking) {
      clients.push_back(elsewhere(hello));
    } else {
      clients[oldest++ % clients.size()] = elsewhere(hello);
    }
  };
  const double before = servers_cpu_seconds();
  const auto begun = Clock::now();
  while (Clock::now() - begun < seconds(3)) {
    flood();
    std::this_thread::sleep_for(milliseconds(1));
  }
  const double wall = std::chrono::duration<double>(Clock::now() - begun).count();
  if (!testing::kSanitized) {
    // To accept them is not all of the rest.
    EXPECT_LT(servers_cpu_seconds() - before, 0.25 * wall);
  }
  for (int i = 0; i < 50; i++) {
    flood();
  }
  const auto asked = Clock::now();
  EXPECT_THAT(ask(kProbe, pair.certificate), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_LT(Clock::now() - asked, kProbeBound);
}

// What TLS lets a client ask for without a question: new keys, as often as it likes.
TEST_F(HttpTlsTest, NewKeysTakeATenthOfACore) {
  start();
  const TlsClient client(server->port(), certificates->ca, kElsewhere);
  ASSERT_TRUE(client.shake());
  const timeval patience{.tv_sec = 0, .tv_usec = 50'000};
  setsockopt(client.wire().socket(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
  // Made before they are sent: to make them takes longer than to follow. But not for so long that silence is cut.
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set0_wbio(client.session(), out);
  const auto shaken = Clock::now();
  for (int i = 0; i < 10000 && Clock::now() - shaken < seconds(1); i++) {
    ERR_clear_error();
    SSL_key_update(client.session(), SSL_KEY_UPDATE_NOT_REQUESTED);
    ASSERT_EQ(SSL_do_handshake(client.session()), 1);
  }
  std::string unsent(BIO_ctrl_pending(out), '\0');
  BIO_read(out, unsent.data(), static_cast<int>(unsent.size()));
  ASSERT_FALSE(client.wire().is_cut());
  const double before = servers_cpu_seconds();
  const auto begun = Clock::now();
  int untaken = 1;
  while ((!unsent.empty() || untaken != 0) && !client.wire().is_cut()) {
    const ssize_t sent = send(client.wire().socket(), unsent.data(), unsent.size(), MSG_NOSIGNAL);
    unsent.erase(0, static_cast<std::size_t>(std::max<ssize_t>(sent, 0)));
    ioctl(client.wire().socket(), SIOCOUTQ, &untaken);
  }
  const double wall = std::chrono::duration<double>(Clock::now() - begun).count();
  if (!testing::kSanitized) {
    // Nothing but this is asked for.
    EXPECT_LT(servers_cpu_seconds() - before, 0.13 * wall);
  }
  EXPECT_LT(probe(), kProbeBound);
}

// A greeting may say that it is as long as 131 KB, for which OpenSSL makes room at once.
TEST_F(HttpTlsTest, LongGreetingsTakeSomeMegabytes) {
  start();
  EXPECT_LT(probe(), kProbeBound);
  const std::uint64_t before = resident_kib();
  std::vector<RawClient> greeters;
  for (std::size_t i = 0; i < HttpServer::kMostAsking; i++) {
    // A record of 16 bytes, with the beginning of 130,816.
    greeters.push_back(elsewhere(std::string("\x16\x03\x01\x00\x10\x01\x01\xff\x00", 9) + std::string(12, 'x')));
  }
  std::uint64_t most = before;
  EXPECT_TRUE(eventually([&] {
    most = std::max(most, resident_kib());
    return std::ranges::count_if(greeters, &RawClient::is_cut) >=
           static_cast<std::ptrdiff_t>(greeters.size() - HttpServer::kMostShaking);
  }));
  if (!testing::kSanitized) {
    EXPECT_LT(most, before + 8192);
  }
  EXPECT_LT(probe(), kProbeBound);
}

}  // namespace
}  // namespace hairpind
