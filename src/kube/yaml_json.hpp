// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <yaml-cpp/yaml.h>

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>

namespace hairpind {

/// YAML::Load of one document, which throws YAML::Exception. What is nested without end is refused before the parser
/// sees it: it would keep all of it in memory until it gives up.
YAML::Node load_yaml(const std::string& text);

/// Turns the YAML of one document into JSON as kubectl would: aliases and merge keys ("<<") expanded, scalars by the
/// core schema. Throws YAML::Exception for what is nested too deeply, and for aliases that grow a document beyond
/// reason: the parser shares what an alias names, JSON does not.
class YamlToJson {
 public:
  /// `document_bytes`: how long the document is, which bounds what it may become.
  explicit YamlToJson(std::size_t document_bytes);

  nlohmann::json convert(const YAML::Node& node) { return convert(node, 0); }

 private:
  nlohmann::json convert(const YAML::Node& node, int depth);
  nlohmann::json convert_map(const YAML::Node& node, int depth);
  void merge(const YAML::Node& from, nlohmann::json& into, int depth);
  void spend(const YAML::Node& node, std::size_t bytes);

  std::size_t nodes_left_;
  std::size_t bytes_left_;  ///< of keys and scalars
};

}  // namespace hairpind
