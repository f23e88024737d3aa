// SPDX-License-Identifier: Apache-2.0
// kube_api_server: ApiServer for trying things by hand, and for kubectl_fidelity_test.sh.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "api_server.hpp"
#include "store.hpp"

namespace {

using hairpind::testing::ApiServer;
using hairpind::testing::ApiServerOptions;
using hairpind::testing::Credential;
using hairpind::testing::Resource;
using nlohmann::json;

constexpr const char* kUsage =
    "usage: kube_api_server --dir DIR [--port N] [--token T] [--kubeconfig PATH] [--credential token|certificate]\n"
    "                       [--allow 'VERB RESOURCE']... [--schema FILE]...\n"
    "Serves the Pods, Services, Nodes, Namespaces, Events, Gateways, TargetGroupBindings and Ingresses, or\n"
    "Lists of them, in DIR/*.json, and takes Events. PATH, DIR/../kubeconfig if not\n"
    "given, is written. --allow replaces the permission for everything. --schema: serves and takes what is in\n"
    "deploy/, too, as far as FILE has its kinds. SIGHUP: reads DIR anew; SIGTERM: ends.\n";

struct ObjectId {
  std::string resource;
  std::string name_space;
  std::string name;
  auto operator<=>(const ObjectId&) const = default;
};
using Objects = std::map<ObjectId, json>;

/// A List's items may leave out their kind: `kind` is what the list says.
void add_object(Objects& objects, json object, const std::string& kind) {
  const std::vector<Resource>& all = hairpind::testing::resources();
  const auto resource = std::ranges::find(all, object.value("kind", kind), &Resource::kind);
  if (resource == all.end()) {
    throw std::runtime_error("kind " + object.value("kind", kind) + " is not served");
  }
  ObjectId id{.resource = resource->name,
              .name_space = resource->namespaced ? object.at("metadata").value("namespace", "default") : "",
              .name = object.at("metadata").at("name").get<std::string>()};
  objects[std::move(id)] = std::move(object);
}

Objects read_objects(const std::filesystem::path& directory) {
  Objects objects;
  std::set<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".json") {
      paths.insert(entry.path());
    }
  }
  for (const auto& path : paths) {
    try {
      std::ifstream file(path);
      json content = json::parse(file);
      const std::string kind = content.value("kind", "");
      if (kind.ends_with("List")) {
        for (json& item : content.at("items")) {
          add_object(objects, std::move(item), kind.substr(0, kind.size() - 4));
        }
      } else {
        add_object(objects, std::move(content), "");
      }
    } catch (const std::exception& error) {
      throw std::runtime_error(path.string() + ": " + error.what());
    }
  }
  return objects;
}

/// Only what differs: whoever watches sees what a cluster would show, not everything again.
void apply(ApiServer& server, const Objects& from, const Objects& to) {
  for (const auto& [id, object] : from) {
    if (!to.contains(id)) {
      server.remove(id.resource, id.name_space, id.name);
    }
  }
  for (const auto& [id, object] : to) {
    const auto before = from.find(id);
    if (before == from.end() || before->second != object) {
      server.upsert(id.resource, object);
    }
  }
}

int run(const std::vector<std::string>& arguments) {
  ApiServerOptions options;
  std::filesystem::path directory;
  std::filesystem::path kubeconfig_path;
  Credential credential = Credential::kToken;
  std::set<std::string> allowed;
  for (std::size_t i = 0; i < arguments.size(); i += 2) {
    const std::string& name = arguments[i];
    const bool known = name == "--port" || name == "--dir" || name == "--token" || name == "--kubeconfig" ||
                       name == "--credential" || name == "--allow" || name == "--schema";
    if (!known || i + 1 == arguments.size()) {
      std::fputs(kUsage, stderr);
      return 2;
    }
    const std::string& value = arguments[i + 1];
    if (name == "--port") {
      options.port = static_cast<std::uint16_t>(std::stoul(value));
    } else if (name == "--dir") {
      directory = std::filesystem::absolute(value).lexically_normal();
    } else if (name == "--token") {
      options.token = value;
    } else if (name == "--kubeconfig") {
      kubeconfig_path = value;
    } else if (name == "--credential") {
      credential = value == "certificate" ? Credential::kClientCertificate : Credential::kToken;
    } else if (name == "--schema") {
      std::ifstream file(value);
      options.schema.add(json::parse(file, nullptr, true, true));  // with comments
    } else {
      allowed.insert(value);
    }
  }
  if (directory.empty()) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  if (kubeconfig_path.empty()) {
    kubeconfig_path = (directory / ".." / "kubeconfig").lexically_normal();  // DIR may end in a slash
  }

  // Before any thread starts, so that none is interrupted and sigwait() gets them all.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&signals, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  Objects objects = read_objects(directory);
  ApiServer server(options);
  if (!allowed.empty()) {
    server.set_permissions(allowed);
  }
  apply(server, {}, objects);
  std::ofstream(kubeconfig_path) << hairpind::testing::kubeconfig(server, credential);
  std::printf("serving %s, kubeconfig %s\n", server.url().c_str(), kubeconfig_path.c_str());
  std::fflush(stdout);

  while (true) {
    int signal = 0;
    sigwait(&signals, &signal);
    if (signal != SIGHUP) {
      return 0;
    }
    try {
      Objects again = read_objects(directory);
      apply(server, objects, again);
      objects = std::move(again);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "kube_api_server: nothing reloaded: %s\n", error.what());
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kube_api_server: %s\n", error.what());
    return 1;
  }
}
