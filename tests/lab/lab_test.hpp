// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "network_lab.hpp"

namespace hairpind::testing {

/// A fixture with a lab for the whole suite. Skips, with the reason, where there can be none.
class LabTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { slot() = std::make_unique<NetworkLab>(); }
  static void TearDownTestSuite() { slot().reset(); }

  void SetUp() override {
    if (!lab().unavailable().empty()) {
      GTEST_SKIP() << lab().unavailable();
    }
  }

  static const NetworkLab& lab() { return *slot(); }

 private:
  static std::unique_ptr<NetworkLab>& slot() {
    static std::unique_ptr<NetworkLab> lab;
    return lab;
  }
};

}  // namespace hairpind::testing
