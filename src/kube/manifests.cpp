// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/manifests.hpp"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "hairpind/kube/load_balancer_objects.hpp"
#include "hairpind/kube/objects.hpp"
#include "json_reading.hpp"
#include "manifest_text.hpp"
#include "yaml_json.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// Ten thousand Services as kubectl writes them have about 20 MiB.
constexpr std::size_t kLargestFile = std::size_t{32} << 20U;

constexpr std::string_view kTemplateOpens = "{{";

/// One file while it is being read.
struct Reading {
  std::string file;
  std::string render;                              ///< the command that makes manifests of it, if it is a template
  std::map<std::string, std::string> controllers;  ///< of classes, by parse_class's key
  Manifests& into;
};

std::string at(const Reading& reading, int line) {
  return reading.file + ":" + std::to_string(line);
}

std::string parent_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path().string() : ".";
}

/// As a shell takes it for one word.
std::string shell_word(const std::string& text) {
  const bool plain = !text.empty() && text.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:@%,") ==
                                          std::string::npos;
  if (plain) {
    return text;
  }
  std::string word = "'";
  for (const char c : text) {
    word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return word + "'";
}

std::string helm_command(const std::string& chart) {
  return "helm template " + shell_word(chart) + " | hairpind audit -f -";
}

/// The chart that a file is part of, if it is.
std::string chart_around(const fs::path& file) {
  std::error_code error;
  for (fs::path directory = fs::absolute(file, error).parent_path(); directory.has_relative_path();
       directory = directory.parent_path()) {
    if (fs::exists(directory / "Chart.yaml", error)) {
      return directory.string();
    }
  }
  return "";
}

bool is_kustomization(const fs::path& file) {
  static const std::set<std::string> names = {"kustomization.yaml", "kustomization.yml", "Kustomization"};
  return names.contains(file.filename().string());
}

bool has_template(const Json& value) {
  if (value.is_string()) {
    return value.get_ref<const std::string&>().contains(kTemplateOpens);
  }
  return value.is_structured() && std::ranges::any_of(value, [](const Json& each) { return has_template(each); });
}

std::string template_error(const Reading& reading, int line) {
  return at(reading, line) + ": a template that is not rendered (" + std::string(kTemplateOpens) +
         "), which says nothing yet: " + reading.render;
}

void take_service(const Json& object, int line, Reading& reading) {
  auto service = parse_service(object);
  if (!service) {
    reading.into.notes.push_back(at(reading, line) + ": a Service without a name; passed over");
    return;
  }
  static const std::set<std::string> types = {"", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"};
  if (!types.contains(service->type)) {
    reading.into.errors.push_back(at(reading, line) + ": Service " + service->name + " has the type '" + service->type +
                                  "', which is none: cannot tell whether it makes a load balancer");
    return;
  }
  if (service->namespace_name.empty()) {
    service->namespace_name = "default";
  }
  reading.into.services.push_back({.object = *std::move(service), .place = {.file = reading.file, .line = line}});
}

void take_object(const Json& object, int line, Reading& reading) {
  const std::string kind = text_at(object, "/kind");
  const std::string version = text_at(object, "/apiVersion");
  if (kind.empty() || version.empty()) {
    reading.into.notes.push_back(at(reading, line) + ": no Kubernetes object (no apiVersion and kind); passed over");
    return;
  }
  reading.into.objects++;
  if (auto controller = parse_class(object)) {
    reading.controllers.insert_or_assign(std::move(controller->key), std::move(controller->controller));
    return;
  }
  auto other = parse_load_balancer_object(object);
  const bool is_service = kind == "Service" && version == "v1";
  if ((other || is_service) && has_template(object)) {
    reading.into.errors.push_back(template_error(reading, line));
    return;
  }
  if (is_service) {
    take_service(object, line, reading);
  } else if (other) {
    if (other->namespace_name.empty()) {
      other->namespace_name = "default";
    }
    reading.into.others.push_back({.object = *std::move(other), .place = {.file = reading.file, .line = line}});
  }
}

/// The value of a key of a map; an undefined node if there is none.
YAML::Node member(const YAML::Node& map, std::string_view key) {
  if (map.IsMap()) {
    for (const auto& entry : map) {
      if (entry.first.IsScalar() && entry.first.Scalar() == key) {
        return entry.second;
      }
    }
  }
  return YAML::Node(YAML::NodeType::Undefined);
}

std::string scalar_at(const YAML::Node& map, std::string_view key) {
  const YAML::Node value = member(map, key);
  return value.IsDefined() && value.IsScalar() ? value.Scalar() : "";
}

/// A List is taken apart before anything is converted, so that each of its items has its own line.
void take_node(const YAML::Node& node, const ManifestDocument& document, YamlToJson& converter, Reading& reading) {
  constexpr std::string_view kList = "List";
  const std::string kind = scalar_at(node, "kind");
  const YAML::Node items = member(node, "items");
  const int line = document.line + std::max(node.Mark().line, 0);
  if (!kind.ends_with(kList) || !items.IsDefined() || items.IsNull()) {
    if (!node.IsNull()) {  // between two "---"
      take_object(converter.convert(node), line, reading);
    }
    return;
  }
  if (!items.IsSequence()) {
    throw YAML::Exception(items.Mark(), "the items of a " + kind + " are no list");
  }
  for (const YAML::Node& item : items) {
    Json object = converter.convert(item);
    // The items of a typed list need not repeat what they are.
    if (kind != kList && object.is_object()) {
      object.emplace("kind", kind.substr(0, kind.size() - kList.size()));
      object.emplace("apiVersion", scalar_at(node, "apiVersion"));
    }
    take_object(object, document.line + std::max(item.Mark().line, 0), reading);
  }
}

void read_text(std::string_view bytes, Reading& reading) {
  const auto text = text_of(bytes);
  if (!text) {
    reading.into.errors.push_back("cannot read '" + reading.file + "': " + text.error().message);
    return;
  }
  for (const ManifestDocument& document : documents_in(*text)) {
    try {
      YamlToJson converter(document.text.size());
      // JSON is YAML.
      take_node(load_yaml(document.text), document, converter, reading);
    } catch (const YAML::Exception& error) {
      const int line = document.line + std::max(error.mark.line, 0);
      reading.into.errors.push_back(document.text.contains(kTemplateOpens)
                                        ? template_error(reading, line)
                                        : "cannot parse " + at(reading, line) + ": " + error.msg);
    }
  }
}

void read_stream(std::istream& stream, Reading& reading) {
  std::string bytes;
  std::array<char, 65536> piece{};
  do {
    stream.read(piece.data(), piece.size());
    bytes.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
  } while (stream && bytes.size() <= kLargestFile);
  if (bytes.size() > kLargestFile) {
    reading.into.errors.push_back("cannot read '" + reading.file + "': larger than " +
                                  std::to_string(kLargestFile >> 20U) + " MiB; give it in parts");
    return;
  }
  read_text(bytes, reading);
}

void read_file(const fs::path& path, Reading& reading) {
  reading.file = path.string();
  if (is_kustomization(path)) {
    reading.into.errors.push_back(path.string() + ": a kustomization, which is no manifest yet: kubectl kustomize " +
                                  shell_word(parent_of(path)) + " | hairpind audit -f -");
    return;
  }
  const std::string chart = chart_around(path);
  reading.render = helm_command(chart.empty() ? "CHART" : chart);
  errno = 0;
  std::ifstream file(path);
  if (!file) {
    reading.into.errors.push_back("cannot read '" + reading.file + "': " + std::strerror(errno));
    return;
  }
  read_stream(file, reading);
}

void read_directory(const fs::path& directory, Reading& reading) {
  std::error_code error;
  if (fs::exists(directory / "Chart.yaml", error)) {
    reading.into.errors.push_back(directory.string() +
                                  ": a Helm chart, which is no manifest yet: " + helm_command(directory.string()));
    return;
  }
  std::set<fs::path> entries;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error)) {
    entries.insert(entry->path());
  }
  if (error) {
    reading.into.errors.push_back("cannot read directory '" + directory.string() + "': " + error.message());
    return;
  }
  if (const auto found = std::ranges::find_if(entries, is_kustomization); found != entries.end()) {
    read_file(*found, reading);
    return;
  }
  for (const fs::path& entry : entries) {
    const std::string extension = entry.extension().string();
    if (fs::is_directory(entry, error)) {
      if (!fs::is_symlink(entry, error)) {
        read_directory(entry, reading);
      }
    } else if (extension == ".yaml" || extension == ".yml" || extension == ".json") {
      read_file(entry, reading);
    }
  }
}

void name_controllers(const Reading& reading) {
  for (auto& other : reading.into.others) {
    name_controller(other.object, reading.controllers);
  }
}

}  // namespace

void read_manifest(std::string_view bytes, const std::string& name, Manifests& into) {
  Reading reading{.file = name, .render = helm_command("CHART"), .controllers = {}, .into = into};
  read_text(bytes, reading);
  name_controllers(reading);
}

Manifests read_manifests(const std::vector<std::string>& paths) {
  Manifests manifests;
  Reading reading{.file = "", .render = helm_command("CHART"), .controllers = {}, .into = manifests};
  for (const std::string& path : paths) {
    std::error_code error;
    if (path == "-") {
      reading.file = "stdin";
      reading.render = helm_command("CHART");
      read_stream(std::cin, reading);
    } else if (fs::is_directory(path, error)) {
      read_directory(path, reading);
    } else {
      read_file(path, reading);
    }
  }
  name_controllers(reading);
  return manifests;
}

}  // namespace hairpind
