// SPDX-License-Identifier: Apache-2.0
// hairpind verify as a pod would run it, against load balancers of each kind. Needs root, to make the lab.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "command_output.hpp"
#include "lab_test.hpp"

namespace hairpind::testing {
namespace {

using Json = nlohmann::json;

class VerifyLabTest : public LabTest {
 protected:
  struct Ended {
    int status = -1;
    Json found;
  };

  Ended verify(const std::string& load_balancer) {
    Ended ended;
    lab().inside("p1", [&] {
      const CommandOutput output =
          output_of(HAIRPIND_BINARY " verify '" + load_balancer + "' --count 6 --timeout 1.5 --targets 2 -o json");
      ended = {.status = output.status, .found = Json::parse(output.text)};
    });
    return ended;
  }
};

TEST_F(VerifyLabTest, TellsAnsweredRefusedAndUnanswered) {
  const struct {
    const char* mode;
    const char* all;
    int status;
  } tests[] = {{"lb-snat", "answered", 0}, {"ip-target", "unanswered", 1}, {"refuse", "refused", 1}};
  for (const auto& test : tests) {
    lab().set_mode(test.mode);
    for (const char* const load_balancer : {"10.0.5.5", "[fd00:5::5]:443"}) {
      const Ended ended = verify(load_balancer);
      EXPECT_EQ(ended.status, test.status) << test.mode;
      EXPECT_EQ(ended.found[test.all], 6) << test.mode << ended.found;
      EXPECT_EQ(ended.found["connections_needed"], 10);
    }
  }
}

}  // namespace
}  // namespace hairpind::testing
