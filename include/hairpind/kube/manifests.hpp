// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/core/kubernetes.hpp"
#include "hairpind/core/load_balancer_object.hpp"

namespace hairpind {

/// Where a manifest stands.
struct Place {
  std::string file;
  int line = 0;  ///< from 1; 0 where there is no file
};

template <typename T>
struct Placed {
  T object;
  Place place;
};

/// What a set of manifest files declares, as far as load balancers come of it.
struct Manifests {
  std::vector<Placed<Service>> services;  ///< of any type
  std::vector<Placed<LoadBalancerObject>> others;
  std::size_t objects = 0;          ///< Kubernetes objects of any kind; a List is none
  std::vector<std::string> notes;   ///< documents passed over, and why; for a person
  std::vector<std::string> errors;  ///< what could not be read, parsed or judged: the audit is not whole
};

/// Takes the objects out of one file's text; `name` is what rows, notes and errors call it.
void read_manifest(std::string_view bytes, const std::string& name, Manifests& into);

/// Reads YAML and JSON files, several documents in one, Lists taken apart; of a directory, all *.yaml, *.yml and *.json
/// below it; of "-", standard input. Whatever cannot be read is an error, and the rest is read on. Charts and
/// kustomizations, which are no manifests yet, are errors with the command that makes manifests of them.
Manifests read_manifests(const std::vector<std::string>& paths);

}  // namespace hairpind
