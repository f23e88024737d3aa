// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace hairpind::testing {

/// A kind of object that the server has.
struct Resource {
  const char* group;  ///< "" for the core's
  const char* version;
  const char* name;
  const char* singular;
  const char* kind;
  const char* short_name;
  bool namespaced;
  /// metadata.name, and metadata.namespace if namespaced, are selectable everywhere.
  std::vector<std::string> selectable;
  const char* type = "";  ///< in a Schema, by which clients may make it
};

const std::vector<Resource>& resources();
const Resource* find_resource(const std::string& name, const std::string& group = "");

/// Without kind and apiVersion: lists leave them out, everything else puts them first.
struct Object {
  nlohmann::json value;
  std::string text;
};
using ObjectPtr = std::shared_ptr<const Object>;

std::string with_kind(const Resource& resource, const std::string& text);

/// One step of the history. No `after`: deleted.
struct Event {
  std::uint64_t revision;
  const Resource* resource;
  std::string key;
  ObjectPtr before;
  ObjectPtr after;
};

/// Which objects of a resource a list or a watch is about.
struct Scope {
  struct Term {
    std::string path;
    std::string value;
    bool equal;
  };
  const Resource* resource = nullptr;
  std::string name_space;  ///< empty: all
  std::vector<Term> terms;

  [[nodiscard]] bool contains(const ObjectPtr& object) const;
};

/// Adds the terms of a field selector; false with `error` set where the real server refuses it.
bool parse_field_selector(const std::string& text, Scope& scope, std::string& error);

/// What the cluster is, and how it came to be so. Not thread safe.
class ObjectStore {
 public:
  using Objects = std::map<std::string, ObjectPtr>;  ///< by "namespace/name" or "name"

  Event upsert(const Resource& resource, nlohmann::json object);
  std::optional<Event> remove(const Resource& resource, const std::string& key);
  /// Forgets the history.
  void compact();

  [[nodiscard]] std::uint64_t revision() const { return revision_; }
  /// The oldest revision that the history leads back to.
  [[nodiscard]] std::uint64_t compacted() const { return compacted_; }
  [[nodiscard]] const std::deque<Event>& history() const { return history_; }
  [[nodiscard]] const Objects& objects(const Resource& resource) const;
  [[nodiscard]] Objects objects_at(const Resource& resource, std::uint64_t revision) const;

 private:
  std::map<const Resource*, Objects> objects_;
  std::uint64_t revision_ = 1;
  std::uint64_t uids_ = 0;
  std::uint64_t compacted_ = 1;
  std::deque<Event> history_;
};

}  // namespace hairpind::testing
