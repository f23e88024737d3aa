// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cluster_watch.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>
#include <vector>

#include "hairpind/kube/api_client.hpp"
#include "hairpind/kube/collection.hpp"
#include "hairpind/kube/objects.hpp"
#include "hairpind/kube/resource_watch.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

constexpr std::array kResources{"pods", "services", "nodes"};

}  // namespace

struct ClusterWatch::State {
  // The changes not yet taken, keyed so that of each object only the newest waits, however long nobody looks.
  mutable std::mutex mutex;
  std::map<std::string, Pod> pods;
  std::map<std::string, PodRef> removed_pods;
  std::map<std::string, Service> services;
  std::set<std::string> removed_services;
  std::optional<std::set<IpAddress>> node_addresses;
  std::array<bool, kResources.size()> in_step{};
  std::array<bool, kResources.size()> in_trouble{};

  OnChange on_change;
  OnTrouble on_trouble;

  // What has been told, to find out what a new list no longer holds. Each belongs to its watch's thread.
  std::map<std::string, PodRef> known_pods;
  std::set<std::string> known_services;
  std::set<std::string> listed;
  std::set<std::string> listed_services;

  // Last: their threads use all of the above.
  std::vector<std::unique_ptr<ResourceWatch>> watches;

  /// The pod's key; nullopt for what is no pod.
  std::optional<std::string> upsert_pod(const Json& object) {
    auto pod = parse_pod(object);
    if (!pod) {
      return std::nullopt;
    }
    std::string key = pod->ref.namespace_name + "/" + pod->ref.name;
    known_pods.insert_or_assign(key, pod->ref);
    const std::scoped_lock lock(mutex);
    // A removal that waits must not overtake what came after it.
    pods.insert_or_assign(key, *std::move(pod));
    return key;
  }

  void remove_pod(const std::string& key) {
    const auto known = known_pods.find(key);
    if (known == known_pods.end()) {
      return;
    }
    const std::scoped_lock lock(mutex);
    pods.erase(key);
    removed_pods.insert_or_assign(key, known->second);
    known_pods.erase(known);
  }

  /// The Service's key; nullopt for what is no Service of type LoadBalancer.
  std::optional<std::string> upsert_service(const Json& object) {
    auto service = parse_service(object);
    if (!service) {
      return std::nullopt;
    }
    std::string key = service->full_name();
    if (service->type != "LoadBalancer") {
      remove_service(key);
      return std::nullopt;
    }
    known_services.insert(key);
    const std::scoped_lock lock(mutex);
    services.insert_or_assign(key, *std::move(service));
    return key;
  }

  void remove_service(const std::string& key) {
    if (known_services.erase(key) == 0) {
      return;
    }
    const std::scoped_lock lock(mutex);
    services.erase(key);
    removed_services.insert(key);
  }

  void list_pods(const std::vector<Json>& objects, bool first, bool last) {
    if (first) {
      listed.clear();
    }
    for (const Json& object : objects) {
      if (auto key = upsert_pod(object)) {
        listed.insert(*std::move(key));
      }
    }
    if (last) {
      std::vector<std::string> gone;
      for (const auto& [key, ref] : known_pods) {
        if (!listed.contains(key)) {
          gone.push_back(key);
        }
      }
      std::ranges::for_each(gone, [this](const std::string& key) { remove_pod(key); });
    }
  }

  void list_services(const std::vector<Json>& objects, bool first, bool last) {
    if (first) {
      listed_services.clear();
    }
    for (const Json& object : objects) {
      if (auto key = upsert_service(object)) {
        listed_services.insert(*std::move(key));
      }
    }
    if (last) {
      std::vector<std::string> gone;
      std::ranges::set_difference(known_services, listed_services, std::back_inserter(gone));
      std::ranges::for_each(gone, [this](const std::string& key) { remove_service(key); });
    }
  }

  void see_node(const Json& object) {
    const std::scoped_lock lock(mutex);
    node_addresses = parse_node_addresses(object);
  }

  static std::string key_of(const Json& object) {
    return text_at(object, "/metadata/namespace") + "/" + text_at(object, "/metadata/name");
  }

  void set_state(std::size_t resource, bool synced, const std::string& why) {
    bool tell = false;
    {
      const std::scoped_lock lock(mutex);
      in_step.at(resource) = synced;
      tell = in_trouble.at(resource) == synced;
      in_trouble.at(resource) = !synced;
    }
    if (tell) {
      on_trouble(kResources.at(resource), why);
    }
    on_change();
  }

  ResourceWatch::Handlers handlers(std::size_t resource) {
    using Objects = std::vector<Json>;
    ResourceWatch::Handlers take;
    if (resource == 0) {
      take.listed = [this](const Objects& objects, bool first, bool last) { list_pods(objects, first, last); };
      take.upserted = [this](const Json& object) { upsert_pod(object); };
      take.deleted = [this](const Json& object) { remove_pod(key_of(object)); };
    } else if (resource == 1) {
      take.listed = [this](const Objects& objects, bool first, bool last) { list_services(objects, first, last); };
      take.upserted = [this](const Json& object) { upsert_service(object); };
      take.deleted = [this](const Json& object) { remove_service(key_of(object)); };
    } else {
      take.listed = [this](const Objects& objects, bool, bool) {
        std::ranges::for_each(objects, [this](const Json& object) { see_node(object); });
      };
      take.upserted = [this](const Json& object) { see_node(object); };
      // A node that is gone takes its agent with it.
      take.deleted = [](const Json&) {};
    }
    return {.listed =
                [this, take](const Objects& objects, bool first, bool last) {
                  take.listed(objects, first, last);
                  on_change();
                },
            .upserted =
                [this, take](const Json& object) {
                  take.upserted(object);
                  on_change();
                },
            .deleted =
                [this, take](const Json& object) {
                  take.deleted(object);
                  on_change();
                },
            .state = [this, resource](bool synced, const std::string& why) { set_state(resource, synced, why); }};
  }
};

ClusterWatch::ClusterWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}
ClusterWatch::~ClusterWatch() = default;

Result<std::unique_ptr<ClusterWatch>> ClusterWatch::start(const ClusterAccess& access, const std::string& node_name,
                                                          OnChange on_change, OnTrouble on_trouble) {
  auto state = std::make_unique<State>();
  state->on_change = std::move(on_change);
  state->on_trouble = std::move(on_trouble);
  const std::array<std::string, kResources.size()> selectors{"spec.nodeName=" + node_name, "",
                                                             "metadata.name=" + node_name};
  std::vector<std::unique_ptr<ApiClient>> clients;
  for (std::size_t resource = 0; resource < kResources.size(); resource++) {
    auto client = ApiClient::create(access);
    if (!client) {
      return std::unexpected(client.error());
    }
    clients.push_back(*std::move(client));
  }
  for (std::size_t resource = 0; resource < kResources.size(); resource++) {
    ResourceWatch::Options options;
    options.collection = {.path = std::string("/api/v1/") + kResources.at(resource),
                          .field_selector = selectors.at(resource)};
    state->watches.push_back(
        std::make_unique<ResourceWatch>(options, std::move(clients.at(resource)), state->handlers(resource)));
  }
  return std::unique_ptr<ClusterWatch>(new ClusterWatch(std::move(state)));
}

ClusterChanges ClusterWatch::take_changes() {
  ClusterChanges changes;
  const std::scoped_lock lock(state_->mutex);
  for (auto& [key, pod] : state_->pods) {
    changes.pods.push_back(std::move(pod));
  }
  for (auto& [key, ref] : state_->removed_pods) {
    changes.removed_pods.push_back(std::move(ref));
  }
  for (auto& [key, service] : state_->services) {
    changes.services.push_back(std::move(service));
  }
  changes.removed_services.assign(state_->removed_services.begin(), state_->removed_services.end());
  changes.node_addresses = std::exchange(state_->node_addresses, std::nullopt);
  state_->pods.clear();
  state_->removed_pods.clear();
  state_->services.clear();
  state_->removed_services.clear();
  return changes;
}

bool ClusterWatch::synced() const {
  const std::scoped_lock lock(state_->mutex);
  return std::ranges::all_of(state_->in_step, std::identity());
}

}  // namespace hairpind
