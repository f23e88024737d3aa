// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/manifests.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "hairpind/kube/objects.hpp"
#include "json_reading.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Deeper than any manifest; a document made to exhaust the stack ends here.
constexpr int kDeepest = 64;

// YAML 1.2 core schema as far as manifests need it: a quoted scalar is a string whatever it looks like.
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

Json to_json(const YAML::Node& node, int depth = 0) {
  if (depth > kDeepest) {
    throw YAML::Exception(node.Mark(), "nested too deeply");
  }
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& entry : node) {
      object[entry.first.Scalar()] = to_json(entry.second, depth + 1);
    }
    return object;
  }
  if (node.IsSequence()) {
    Json array = Json::array();
    for (const YAML::Node& entry : node) {
      array.push_back(to_json(entry, depth + 1));
    }
    return array;
  }
  return node.IsScalar() ? scalar(node) : Json(nullptr);
}

// At each line that begins with "---", as kubectl does. YAML::LoadAll would never return from some input that is no
// YAML (yaml-cpp 0.7).
std::vector<std::string> split_documents(const std::string& text) {
  std::vector<std::string> documents(1);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("---")) {
      documents.emplace_back();
      line.erase(0, 3);
    }
    documents.back() += line + "\n";
  }
  // What stands before the first separator is a document only if there is something.
  if (documents.size() > 1 && documents.front().find_first_not_of(" \t\r\n") == std::string::npos) {
    documents.erase(documents.begin());
  }
  return documents;
}

void take_object(const Json& object, const std::string& where, Manifests& into) {
  if (object.is_null()) {
    return;  // between two "---"
  }
  const std::string kind = text_at(object, "/kind");
  if (kind.empty() || text_at(object, "/apiVersion").empty()) {
    into.notes.push_back(where + ": no Kubernetes object (no apiVersion and kind); passed over");
    return;
  }
  if (kind == "List" || kind == "ServiceList") {
    if (const auto items = object.find("items"); items != object.end() && items->is_array()) {
      for (Json item : *items) {
        // The items of a typed list need not repeat what they are.
        if (kind == "ServiceList" && item.is_object()) {
          item.emplace("kind", "Service");
          item.emplace("apiVersion", "v1");
        }
        take_object(item, where, into);
      }
    }
    return;
  }
  if (kind != "Service") {
    return;
  }
  auto service = parse_service(object);
  if (!service) {
    into.notes.push_back(where + ": a Service without a name; passed over");
    return;
  }
  if (service->namespace_name.empty()) {
    service->namespace_name = "default";
  }
  into.services.push_back(*std::move(service));
}

void read_file(const std::string& path, Manifests& into) {
  errno = 0;
  const std::ifstream file(path);
  if (!file) {
    into.errors.push_back("cannot read '" + path + "': " + std::strerror(errno));
    return;
  }
  std::ostringstream text;
  text << file.rdbuf();
  read_manifest(text.str(), path, into);
}

std::set<std::string> files_below(const std::string& directory, Manifests& into) {
  std::set<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    const std::string extension = entry->path().extension().string();
    if (entry->is_regular_file(error) && (extension == ".yaml" || extension == ".yml" || extension == ".json")) {
      files.insert(entry->path().string());
    }
  }
  if (error) {
    into.errors.push_back("cannot read directory '" + directory + "': " + error.message());
  }
  return files;
}

}  // namespace

void read_manifest(const std::string& text, const std::string& name, Manifests& into) {
  int number = 0;
  for (const std::string& document : split_documents(text)) {
    const std::string where = name + ", document " + std::to_string(++number);
    try {
      // JSON is YAML.
      take_object(to_json(YAML::Load(document)), where, into);
    } catch (const YAML::Exception& error) {
      into.errors.push_back("cannot parse " + where + ": " + error.what());
    }
  }
}

Manifests read_manifests(const std::vector<std::string>& paths) {
  Manifests manifests;
  for (const std::string& path : paths) {
    std::error_code error;
    if (path == "-") {
      std::ostringstream text;
      text << std::cin.rdbuf();
      read_manifest(text.str(), "the standard input", manifests);
    } else if (fs::is_directory(path, error)) {
      for (const std::string& file : files_below(path, manifests)) {
        read_file(file, manifests);
      }
    } else {
      read_file(path, manifests);
    }
  }
  return manifests;
}

}  // namespace hairpind
