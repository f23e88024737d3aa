// SPDX-License-Identifier: Apache-2.0
#include "list_reader.hpp"

#include <nlohmann/json.hpp>
#include <utility>

#include "json_reading.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestFrame = 64U << 10U;
// Depths: of what stands in the list itself, in its array of items, in one of them.
constexpr std::size_t kInList = 1;
constexpr std::size_t kInItems = 2;

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

}  // namespace

ListReader::ListReader(std::function<void(const Json& object)> on_object) : on_object_(std::move(on_object)) {}

Result<void> ListReader::feed(std::string_view piece) {
  for (const char c : piece) {
    if (auto taken = take(c); !taken) {
      return taken;
    }
  }
  return {};
}

bool ListReader::opens_items() const {
  // The key, not the end of a longer one, nor of a string that reads like it.
  constexpr std::string_view kKey = "\"items\":";
  return depth_ == kInList && frame_.ends_with(kKey) &&
         (frame_[frame_.size() - kKey.size() - 1] == '{' || frame_[frame_.size() - kKey.size() - 1] == ',');
}

void ListReader::add_to_item(char c) {
  if (++item_bytes_ <= kLongestObject) {
    item_ += c;
  } else {
    item_.clear();
    item_.shrink_to_fit();
  }
}

Result<void> ListReader::end_item() {
  const bool kept = std::exchange(item_bytes_, 0) <= kLongestObject;
  const auto object = kept ? parse_object(item_) : std::unexpected(ParseFault::kTooLarge);
  item_.clear();
  if (object ? !object->is_object() : object.error() == ParseFault::kNotJson) {
    return fail("the answer is no list");
  }
  on_object_(object ? *object : Json());
  return {};
}

Result<void> ListReader::take(char c) {
  const bool in_item = in_items_ && depth_ > kInItems;
  const auto add = [&] {
    if (in_item) {
      add_to_item(c);
    } else {
      frame_ += c;
    }
  };
  if (in_string_) {
    add();
    in_string_ = escaped_ || c != '"';
    escaped_ = !escaped_ && c == '\\';
  } else if (is_space(c)) {
    return {};
  } else if (complete_) {
    return fail("something comes after the list");
  } else if (c == '{' || c == '[') {
    if (depth_ == 0 && c != '{') {
      return fail("the answer is no list");
    }
    const bool items = c == '[' && opens_items();
    // The item's own bracket is its first byte.
    if (in_items_ && depth_ == kInItems) {
      add_to_item(c);
    } else {
      add();
    }
    depth_++;
    in_items_ = in_items_ || items;
  } else if (c == '}' || c == ']') {
    if (depth_ == 0) {
      return fail("the answer is no list");
    }
    add();
    depth_--;
    if (in_items_ && depth_ == kInItems) {
      return end_item();
    }
    in_items_ = in_items_ && depth_ > kInList;
    complete_ = depth_ == 0;
  } else if (depth_ == 0 || (in_items_ && depth_ == kInItems)) {
    // Nothing but objects stands among the items, and commas between them.
    return c == ',' && depth_ != 0 ? Result<void>() : fail("the answer is no list");
  } else {
    add();
    in_string_ = c == '"';
  }
  if (item_bytes_ > kLongestPassedOver) {
    return fail("an object larger than " + std::to_string(kLongestPassedOver >> 20U) + " MiB");
  }
  if (frame_.size() > kLongestFrame) {
    return fail("the answer is no list");
  }
  return {};
}

Result<Json> ListReader::frame() const {
  Json frame = complete_ ? parse_object(frame_).value_or(Json()) : Json();
  if (!frame.is_object() || !frame.contains("items") || text_at(frame, "/metadata/resourceVersion").empty()) {
    return fail("the answer is no list");
  }
  return frame;
}

}  // namespace hairpind
