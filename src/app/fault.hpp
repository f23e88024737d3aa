// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

namespace hairpind {

/// A fault that lasts: worth a line when it begins and one when it ends, not one a second.
class Fault {
 public:
  [[nodiscard]] bool begins() { return !std::exchange(lasting_, true); }
  [[nodiscard]] bool ends() { return std::exchange(lasting_, false); }

 private:
  bool lasting_ = false;
};

}  // namespace hairpind
