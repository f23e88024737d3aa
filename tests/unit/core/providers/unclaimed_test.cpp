// SPDX-License-Identifier: Apache-2.0
#include "services.hpp"

namespace hairpind::providers {
namespace {

TEST(AssessUnclaimed, NamesWhatSaysNothing) {
  expect({
      {"nothing said", service({}, {other_name}), Risk::kUnknown, "neither a class nor an annotation says"},
      {"a class", with_class("example.com/lb"), Risk::kUnknown, "loadBalancerClass \"example.com/lb\" is not known"},
      {"a type", service({{type_key, "gwlb"}}), Risk::kUnknown, "\"gwlb\" is not a known type"},
  });
}

}  // namespace
}  // namespace hairpind::providers
