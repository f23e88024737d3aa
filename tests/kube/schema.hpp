// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace hairpind::testing {

/// What is wrong with a field, in the real server's words.
struct FieldFault {
  std::string path;  ///< "spec.template.spec.containers[0].image"
  std::string why;
};

/// What is wrong with an object; in this order, each hides the next.
struct ObjectFaults {
  std::vector<FieldFault> mistyped;  ///< cannot be decoded
  std::vector<FieldFault> unknown;   ///< refused where the client asks for fieldValidation=Strict, as kubectl does
  std::vector<FieldFault> invalid;   ///< required ones that are missing, and values that are none
};

/// Which fields there are:
///   {"V1ConfigMap": {"data": "Map<string>", "metadata": "V1ObjectMeta", ...}, "V1ObjectMeta": {"name": "string", ...},
///   ...}
/// A type is one of these, Array<TYPE>, Map<TYPE>, string, boolean, integer, number, time, IntOrString or any; "!"
/// behind it: required. scripts/install-cluster-tools.sh makes Kubernetes's; custom_kinds.json has others.
class Schema {
 public:
  /// Throws if it is no such.
  void add(const nlohmann::json& types);
  [[nodiscard]] bool contains(const std::string& type) const { return types_.contains(type); }
  /// Of each field by itself; validate() knows what fields are to each other.
  [[nodiscard]] ObjectFaults faults_of(const nlohmann::json& object, const std::string& type) const;

 private:
  void check(const nlohmann::json& value, const std::string& type, const std::string& path, ObjectFaults& faults) const;
  void check_fields(const nlohmann::json& object, const std::string& type, const std::string& path,
                    ObjectFaults& faults) const;

  nlohmann::json types_ = nlohmann::json::object();
};

}  // namespace hairpind::testing
