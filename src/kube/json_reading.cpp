// SPDX-License-Identifier: Apache-2.0
#include "json_reading.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

namespace hairpind {
namespace {

using Json = nlohmann::json;

// A pod with a hundred containers has some 10,000; an object of 1.5 MiB, etcd's limit, may be made of 500,000 brackets.
constexpr std::size_t kMostValues = 60000;
constexpr std::size_t kDeepest = 64;

// Large, and read by nobody: what is left out is never built.
constexpr std::array<std::string_view, 10> kUnread{
    "managedFields",
    "kubectl.kubernetes.io/last-applied-configuration",
    "env",
    "volumes",
    "volumeMounts",
    "affinity",
    "tolerations",
    "containerStatuses",
    "initContainerStatuses",
    "initContainers",
};

/// Builds what is read of a document (nlohmann's SAX interface).
class Reader final : public nlohmann::json_sax<Json> {
 public:
  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& /*text*/) override { return put(value); }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t& /*value*/) override { return false; }
  bool start_object(std::size_t /*elements*/) override { return open(Json::object()); }
  bool start_array(std::size_t /*elements*/) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (skipped_ == 0) {
      skip_next_ = std::ranges::find(kUnread, name) != kUnread.end();
      key_ = std::move(name);
    }
    return true;
  }
  bool parse_error(std::size_t /*at*/, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return false;
  }

  Json take() { return std::move(root_); }
  [[nodiscard]] bool too_large() const { return too_large_; }

 private:
  template <typename Value>
  bool put(Value&& value) {
    if (skipped_ > 0 || std::exchange(skip_next_, false)) {
      return true;
    }
    return add(Json(std::forward<Value>(value))) != nullptr;
  }

  bool open(Json container) {
    if (skipped_ > 0 || std::exchange(skip_next_, false)) {
      skipped_++;
      return true;
    }
    too_large_ = open_.size() == kDeepest;
    Json* const added = too_large_ ? nullptr : add(std::move(container));
    open_.push_back(added);
    return added != nullptr;
  }

  bool close() {
    if (skipped_ > 0) {
      skipped_--;
    } else {
      open_.pop_back();
    }
    return true;
  }

  /// Null beyond the limit.
  Json* add(Json value) {
    if (++values_ > kMostValues) {
      too_large_ = true;
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Json& container = *open_.back();
    if (container.is_array()) {
      // Pointers to elements stay good: only the newest is open.
      container.push_back(std::move(value));
      return &container.back();
    }
    Json& member = container[key_];
    member = std::move(value);
    return &member;
  }

  Json root_;
  std::vector<Json*> open_;
  std::string key_;
  bool skip_next_ = false;
  std::size_t skipped_ = 0;  ///< containers, one in another, that are being passed over
  std::size_t values_ = 0;
  bool too_large_ = false;
};

}  // namespace

std::expected<Json, ParseFault> parse_object(std::string_view text) {
  Reader reader;
  if (Json::sax_parse(text.begin(), text.end(), &reader)) {
    return reader.take();
  }
  return std::unexpected(reader.too_large() ? ParseFault::kTooLarge : ParseFault::kNotJson);
}

std::string text_at(const Json& object, const char* pointer) {
  const Json::json_pointer at(pointer);
  return object.is_object() && object.contains(at) && object[at].is_string() ? object[at].get<std::string>() : "";
}

}  // namespace hairpind
