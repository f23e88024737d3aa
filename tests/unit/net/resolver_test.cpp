// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/resolver.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

using namespace std::chrono_literals;

constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeAaaa = 28;

IpAddress ip(const char* text) {
  return *IpAddress::parse(text);
}

/// A DNS server on a loopback port: one name, its addresses, or a failure (RFC 1035, 4.1).
class DnsServer {
 public:
  struct Answer {
    std::vector<IpAddress> addresses;
    int response_code = 0;
    bool silent = false;
    std::uint32_t ttl = 1;
  };

  DnsServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    socklen_t length = sizeof(address);
    getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsServer() {
    stopping_ = true;
    thread_.join();
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  void set(Answer answer) {
    const std::scoped_lock lock(mutex_);
    answer_ = std::move(answer);
  }
  std::string servers() const { return "127.0.0.1:" + std::to_string(port_); }
  int questions() const { return questions_; }

 private:
  void serve() {
    while (!stopping_) {
      pollfd readable{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      if (poll(&readable, 1, 20) <= 0) {
        continue;
      }
      std::vector<std::uint8_t> message(1500);
      sockaddr_in peer{};
      socklen_t length = sizeof(peer);
      const ssize_t bytes =
          recvfrom(socket_.get(), message.data(), message.size(), 0, reinterpret_cast<sockaddr*>(&peer), &length);
      if (bytes < 17) {
        continue;
      }
      questions_++;
      Answer answer;
      {
        const std::scoped_lock lock(mutex_);
        answer = answer_;
      }
      if (answer.silent) {
        continue;
      }
      // The question ends after the name's zero byte, type and class.
      std::size_t end = 12;
      while (message[end] != 0) {
        end += message[end] + 1U;
      }
      end += 5;
      const auto type = static_cast<std::uint16_t>(message[end - 4] << 8 | message[end - 3]);
      message.resize(end);
      message[2] |= 0x80;
      message[3] = static_cast<std::uint8_t>(0x80 | answer.response_code);
      std::memset(message.data() + 6, 0, 6);
      for (const IpAddress& address : answer.addresses) {
        if (type != (address.is_v4() ? kTypeA : kTypeAaaa)) {
          continue;
        }
        const std::size_t width = address.is_v4() ? 4 : 16;
        message.insert(message.end(), {0xc0, 12, 0, static_cast<std::uint8_t>(type), 0, 1, 0, 0, 0,
                                       static_cast<std::uint8_t>(answer.ttl), 0, static_cast<std::uint8_t>(width)});
        message.insert(message.end(), address.bytes.end() - static_cast<std::ptrdiff_t>(width), address.bytes.end());
        message[7]++;
      }
      sendto(socket_.get(), message.data(), message.size(), 0, reinterpret_cast<const sockaddr*>(&peer), length);
    }
  }

  FileDescriptor socket_;
  std::uint16_t port_ = 0;
  std::mutex mutex_;
  Answer answer_;
  std::atomic<int> questions_{0};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

class ResolverTest : public ::testing::Test {
 protected:
  void start(Resolver::Options options) {
    options.servers = server.servers();
    auto started = Resolver::start(
        options,
        [this](Resolution resolution) {
          const std::scoped_lock lock(mutex);
          resolutions.push_back(std::move(resolution));
          changed.notify_all();
        },
        [this](const std::string& name, const std::string& why) {
          const std::scoped_lock lock(mutex);
          errors.push_back(name + ": " + why);
          changed.notify_all();
        });
    ASSERT_TRUE(started) << started.error().message;
    resolver = *std::move(started);
    resolver->set_names({"lb.test"});
  }

  template <typename Condition>
  bool wait_until(Condition condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 30s, condition);
  }
  bool wait_for_addresses(const std::set<IpAddress>& addresses) {
    return wait_until([&] { return !resolutions.empty() && resolutions.back().addresses == addresses; });
  }

  DnsServer server;
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Resolution> resolutions;
  std::vector<std::string> errors;
  std::unique_ptr<Resolver> resolver;
};

const Resolver::Options kFast{.shortest_ttl = 20ms, .longest_ttl = 50ms, .retry = 20ms, .grace = 10min, .servers = {}};

TEST_F(ResolverTest, FindsBothFamilies) {
  server.set({.addresses = {ip("10.0.5.5"), ip("10.0.5.6"), ip("fd00:5::5")}});
  start({});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6"), ip("fd00:5::5")}));
  EXPECT_EQ(resolutions.back().name, "lb.test");
}

TEST_F(ResolverTest, AsksAgainAndKeepsWhatLeftTheAnswerForAWhile) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.6")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.6")}));
}

TEST_F(ResolverTest, DropsWhatLeftTheAnswerAfterTheGrace) {
  server.set({.addresses = {ip("10.0.5.5")}});
  Resolver::Options options = kFast;
  options.grace = 1ms;
  start(options);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.6")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.6")}));
}

TEST_F(ResolverTest, FailureIsToldOnceAndKeepsTheAddresses) {
  server.set({.addresses = {ip("10.0.5.5")}});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {}, .response_code = 3 /* NXDOMAIN */});
  ASSERT_TRUE(wait_until([&] { return !errors.empty(); }));
  const int before = server.questions();
  while (server.questions() < before + 20) {
    std::this_thread::sleep_for(1ms);
  }
  server.set({.addresses = {ip("10.0.5.7")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.7")}));
  EXPECT_EQ(errors.size(), 1) << ::testing::PrintToString(errors);
  EXPECT_THAT(errors[0], ::testing::StartsWith("lb.test: DNS: "));
}

TEST_F(ResolverTest, LongTtlIsNotWaitedForLongerThanTheLimit) {
  server.set({.addresses = {ip("10.0.5.5")}, .response_code = 0, .silent = false, .ttl = 255});
  start(kFast);
  ASSERT_TRUE(wait_for_addresses({ip("10.0.5.5")}));
  server.set({.addresses = {ip("10.0.5.8")}});
  EXPECT_TRUE(wait_for_addresses({ip("10.0.5.5"), ip("10.0.5.8")}));
}

TEST_F(ResolverTest, SilentServerDelaysNeitherNamesNorTheEnd) {
  server.set({.addresses = {}, .response_code = 0, .silent = true});
  start(kFast);
  resolver->set_names({"lb.test", "other.test"});
  while (server.questions() < 2) {
    std::this_thread::sleep_for(1ms);
  }
  resolver.reset();
  EXPECT_TRUE(resolutions.empty());
}

}  // namespace
}  // namespace hairpind
