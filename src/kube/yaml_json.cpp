// SPDX-License-Identifier: Apache-2.0
#include "yaml_json.hpp"

#include <charconv>
#include <cstdint>
#include <string>

namespace hairpind {
namespace {

using Json = nlohmann::json;

// Deeper than any manifest; a document made to exhaust the stack ends here.
constexpr int kDeepest = 64;

// What aliases may add: more than the API server takes as one object (1.5 MiB, etcd's limit).
constexpr std::size_t kAliasNodes = std::size_t{1} << 18U;
constexpr std::size_t kAliasBytes = std::size_t{4} << 20U;

// Brackets that are open at once. Text in scalars counts, too, where they need not be closed, so with a wide margin.
constexpr int kMostOpen = 10'000;

// A quoted scalar is a string whatever it looks like.
Json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") {
    return text;
  }
  if (text == "true" || text == "false") {
    return text == "true";
  }
  if (text.empty() || text == "null" || text == "~") {
    return nullptr;
  }
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) {
    return number;
  }
  return text;
}

bool is_merge_key(const YAML::Node& key) {
  return key.IsScalar() && key.Scalar() == "<<" && key.Tag() != "!";
}

}  // namespace

YAML::Node load_yaml(const std::string& text) {
  int open = 0;
  for (const char c : text) {
    if (c == '[' || c == '{') {
      open++;
    } else if ((c == ']' || c == '}') && open > 0) {
      open--;
    }
    if (open > kMostOpen) {
      throw YAML::Exception(YAML::Mark(), "nested too deeply");
    }
  }
  return YAML::Load(text);
}

// Without aliases an entry of a map, which is two nodes, takes at least two bytes, and an escape in a scalar becomes at
// most twice as long.
YamlToJson::YamlToJson(std::size_t document_bytes)
    : nodes_left_(document_bytes + kAliasNodes), bytes_left_(2 * document_bytes + kAliasBytes) {}

void YamlToJson::spend(const YAML::Node& node, std::size_t bytes) {
  if (nodes_left_ == 0 || bytes > bytes_left_) {
    throw YAML::Exception(node.Mark(), "its aliases expand to more than any manifest holds");
  }
  nodes_left_--;
  bytes_left_ -= bytes;
}

Json YamlToJson::convert(const YAML::Node& node, int depth) {
  if (depth > kDeepest) {
    throw YAML::Exception(node.Mark(), "nested too deeply");
  }
  spend(node, node.IsScalar() ? node.Scalar().size() : 0);
  if (node.IsMap()) {
    return convert_map(node, depth);
  }
  if (node.IsSequence()) {
    Json array = Json::array();
    for (const YAML::Node& entry : node) {
      array.push_back(convert(entry, depth + 1));
    }
    return array;
  }
  return node.IsScalar() ? scalar(node) : Json(nullptr);
}

Json YamlToJson::convert_map(const YAML::Node& node, int depth) {
  Json object = Json::object();
  for (const auto& entry : node) {
    if (is_merge_key(entry.first)) {
      continue;
    }
    if (!entry.first.IsScalar()) {
      throw YAML::Exception(node.Mark(), "a key that is no scalar");
    }
    spend(entry.first, entry.first.Scalar().size());
    object[entry.first.Scalar()] = convert(entry.second, depth + 1);
  }
  // The map's own keys win, then the first that has one (yaml.org/type/merge.html).
  for (const auto& entry : node) {
    if (is_merge_key(entry.first)) {
      merge(entry.second, object, depth + 1);
    }
  }
  return object;
}

void YamlToJson::merge(const YAML::Node& from, Json& into, int depth) {
  if (from.IsSequence()) {
    for (const YAML::Node& each : from) {
      if (!each.IsMap()) {
        throw YAML::Exception(from.Mark(), "a merge key (<<) whose value is no map");
      }
      merge(each, into, depth);
    }
    return;
  }
  if (!from.IsMap()) {
    throw YAML::Exception(from.Mark(), "a merge key (<<) whose value is no map");
  }
  const Json merged = convert(from, depth);
  for (const auto& [key, value] : merged.items()) {
    into.emplace(key, value);
  }
}

}  // namespace hairpind
