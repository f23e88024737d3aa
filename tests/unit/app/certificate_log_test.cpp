// SPDX-License-Identifier: Apache-2.0
#include "certificate_log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <sstream>
#include <utility>

namespace hairpind {
namespace {

using ::testing::HasSubstr;

class CertificateLogTest : public ::testing::Test {
 protected:
  CertificateLogTest() { spdlog::set_default_logger(std::make_shared<spdlog::logger>("", sink_)); }
  ~CertificateLogTest() override { spdlog::set_default_logger(before_); }

  [[nodiscard]] bool current() const { return log_.current(); }
  std::string said_of(const Result<std::string>& read) {
    log_(read);
    return std::exchange(text_, std::ostringstream()).str();
  }

 private:
  std::ostringstream text_;
  std::shared_ptr<spdlog::sinks::ostream_sink_st> sink_ = std::make_shared<spdlog::sinks::ostream_sink_st>(text_);
  std::shared_ptr<spdlog::logger> before_ = spdlog::default_logger();
  CertificateLog log_{"/tls.crt"};
};

TEST_F(CertificateLogTest, ANewCertificateIsSaidWithItsEnd) {
  EXPECT_THAT(said_of("2027-01-01T00:00:00Z"), HasSubstr("/tls.crt: read again, valid until 2027-01-01T00:00:00Z"));
}

TEST_F(CertificateLogTest, APairThatStaysBrokenIsSaidOnce) {
  EXPECT_EQ(said_of(fail("broken")), "") << "it may be in the middle of being written";
  EXPECT_TRUE(current());
  EXPECT_THAT(said_of(fail("broken")), HasSubstr("broken; the listener goes on with the certificate that it has"));
  EXPECT_EQ(said_of(fail("broken")), "");
  EXPECT_FALSE(current());
  EXPECT_THAT(said_of("2027-01-01T00:00:00Z"), HasSubstr("read again"));
  EXPECT_TRUE(current());
  EXPECT_EQ(said_of(fail("broken")), "");
  EXPECT_THAT(said_of(fail("broken")), HasSubstr("broken")) << "another time";
}

}  // namespace
}  // namespace hairpind
