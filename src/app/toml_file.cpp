// SPDX-License-Identifier: Apache-2.0
#include "toml_file.hpp"

// Its library is of little else than this file needs, and would be one more in the image.
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

#include <algorithm>
#include <cstddef>
#include <istream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hairpind {
namespace {

// A slip or two of the pen; what is further from every option was not meant to be one of them.
constexpr std::size_t kSlip = 2;

/// Levenshtein's: how many characters to insert, take away or replace.
std::size_t edit_distance(std::string_view from, std::string_view to) {
  std::vector<std::size_t> row;
  for (std::size_t j = 0; j <= to.size(); j++) {
    row.push_back(j);
  }
  for (std::size_t i = 0; i < from.size(); i++) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < to.size(); j++) {
      const std::size_t replaced = diagonal + (from[i] == to[j] ? 0 : 1);
      diagonal = std::exchange(row[j + 1], std::min({replaced, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

[[noreturn]] void fail_at(const toml::source_region& where, const std::string& what) {
  throw CLI::ConfigError("line " + std::to_string(where.begin.line) + ": " + what, CLI::ExitCodes::ConfigError);
}

/// As the command line would have it; nothing of what is no text, number or boolean.
std::optional<std::string> as_text(const toml::node& value) {
  if (const auto* const text = value.as_string()) {
    return text->get();
  }
  if (value.is_number() || value.is_boolean()) {
    std::ostringstream text;
    value.visit([&](const auto& each) {
      if constexpr (toml::is_number<decltype(each)> || toml::is_boolean<decltype(each)>) {
        text << std::boolalpha << each.get();
      }
    });
    return text.str();
  }
  return std::nullopt;
}

class TomlFile : public CLI::Config {
 public:
  explicit TomlFile(std::vector<std::string> keys) : keys_(std::move(keys)) {}

  // Nothing writes one.
  std::string to_config(const CLI::App* /*app*/, bool /*all*/, bool /*descriptions*/,
                        std::string /*prefix*/) const override {
    return {};
  }

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    toml::table table;
    try {
      table = toml::parse(input);
    } catch (const toml::parse_error& error) {
      fail_at(error.source(), std::string(error.description()));
    }
    std::vector<CLI::ConfigItem> found;
    for (const auto& [key, value] : table) {
      if (std::ranges::find(keys_, key.str()) == keys_.end()) {
        fail_at(key.source(), "unknown key '" + std::string(key.str()) + "'" + suggestion(key.str()));
      }
      CLI::ConfigItem item;
      item.name = key.str();
      item.inputs = inputs(item.name, value);
      if (!item.inputs.empty()) {
        found.push_back(std::move(item));
      }
    }
    return found;
  }

 private:
  static std::vector<std::string> inputs(const std::string& key, const toml::node& value) {
    const auto read = [&](const toml::node& each) {
      auto text = as_text(each);
      if (!text) {
        fail_at(each.source(), "'" + key + "' takes a text, a number or a list of these");
      }
      return *std::move(text);
    };
    const toml::array* const list = value.as_array();
    if (list == nullptr) {
      return {read(value)};
    }
    std::vector<std::string> inputs;
    for (const toml::node& each : *list) {
      inputs.push_back(read(each));
    }
    return inputs;
  }

  [[nodiscard]] std::string suggestion(std::string_view key) const {
    const auto distance_to = [&](const std::string& known) { return edit_distance(key, known); };
    const auto nearest = std::ranges::min_element(keys_, {}, distance_to);
    if (const std::size_t slips = distance_to(*nearest); slips <= kSlip && slips < key.size()) {
      return "; is '" + *nearest + "' meant?";
    }
    return "; keys are the options' names without dashes in front";
  }

  std::vector<std::string> keys_;
};

}  // namespace

void read_config_as_toml(CLI::App& app) {
  std::vector<std::string> keys;
  for (const CLI::Option* const option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) {
      if (name != "help" && name != "config") {
        keys.push_back(name);
      }
    }
  }
  app.config_formatter(std::make_shared<TomlFile>(std::move(keys)));
}

}  // namespace hairpind
