// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "hairpind/core/error.hpp"

namespace hairpind {

/// Takes a v1 List apart while it comes, so that no more of it is in memory than one object: the API server answers
/// with a whole collection at once when it is asked for its cache's (resourceVersion=0).
class ListReader {
 public:
  /// The API server refuses objects beyond etcd's 1.5 MiB. As JSON such a one may be larger, six times at the worst:
  /// true ones are not, but whoever may create one can make it so. It is passed over, and the rest goes on.
  static constexpr std::size_t kLongestObject = 4U << 20U;
  /// Beyond this it is no object but an attempt to be read for ever.
  static constexpr std::size_t kLongestPassedOver = 32U << 20U;

  /// `on_object`: each as it comes; null for one that has been passed over.
  explicit ListReader(std::function<void(const nlohmann::json& object)> on_object);

  /// The next piece of the body, cut anywhere. An error if this is no list.
  Result<void> feed(std::string_view piece);
  /// What is around the items, once all of it has come: metadata with resourceVersion and continue. An error if the
  /// body ended early.
  [[nodiscard]] Result<nlohmann::json> frame() const;

 private:
  Result<void> take(char c);
  void add_to_item(char c);
  Result<void> end_item();
  [[nodiscard]] bool opens_items() const;

  const std::function<void(const nlohmann::json& object)> on_object_;
  std::string frame_;           ///< the list without its items
  std::string item_;            ///< of one that is being passed over, nothing
  std::size_t item_bytes_ = 0;  ///< all of it
  std::size_t depth_ = 0;
  bool in_items_ = false;
  bool in_string_ = false;
  bool escaped_ = false;
  bool complete_ = false;
};

}  // namespace hairpind
