// SPDX-License-Identifier: Apache-2.0
#include "pod_interfaces.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <string>

namespace hairpind::testing {
namespace {

// Any number but 0, the group of every other device.
const std::string kLeaving = "77";

void for_each_pod(const NetworkLab& lab, int first, int count,
                  const std::function<std::string(const std::string& name)>& commands) {
  const std::string path = "/tmp/hairpind-pods-" + std::to_string(getpid());
  std::ofstream batch(path);
  for (int i = first; i < first + count; i++) {
    batch << commands("pod" + std::to_string(i));
  }
  batch.close();
  lab.ip("node", {"-batch", path});
  std::filesystem::remove(path);
}

}  // namespace

void add_pod_interfaces(const NetworkLab& lab, int first, int count) {
  const std::string other = lab.namespace_name("p3");
  for_each_pod(lab, first, count, [&](const std::string& name) {
    return "link add " + name + " type veth peer name " + name + " netns " + other + "\nlink set " + name + " up\n";
  });
}

void remove_pod_interfaces(const NetworkLab& lab, int first, int count) {
  for_each_pod(lab, first, count,
               [&](const std::string& name) { return "link set " + name + " group " + kLeaving + "\n"; });
  lab.ip("node", {"link", "del", "group", kLeaving});
}

}  // namespace hairpind::testing
