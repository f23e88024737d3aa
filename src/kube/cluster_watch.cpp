// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/cluster_watch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "hairpind/kube/api_client.hpp"
#include "hairpind/kube/collection.hpp"
#include "hairpind/kube/load_balancer_objects.hpp"
#include "hairpind/kube/objects.hpp"
#include "hairpind/kube/resource_watch.hpp"
#include "json_reading.hpp"
#include "untaken_changes.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;

enum Resource : std::uint8_t { kPods, kServices, kNodes, kGateways };
constexpr std::array kResources{"pods", "services", "nodes", "gateways"};
constexpr const char* kCore = "/api/v1/";
constexpr const char* kGatewayApi = "/apis/gateway.networking.k8s.io/v1/";
// A cluster without the Gateway API is asked that seldom whether it has it now.
constexpr std::chrono::minutes kAbsentPause{10};

/// The keys of a collection as the server last had them, to find out what a new list no longer holds.
class KnownKeys {
 public:
  void list_begun() { list_++; }
  void add(const std::string& key) { keys_[key] = list_; }
  /// False if it was not known.
  bool remove(const std::string& key) { return keys_.erase(key) != 0; }
  /// What was known before the list and is not on it.
  std::vector<std::string> list_ended() {
    std::vector<std::string> gone;
    for (const auto& [key, list] : keys_) {
      if (list != list_) {
        gone.push_back(key);
      }
    }
    return gone;
  }

 private:
  std::map<std::string, std::uint32_t> keys_;  ///< -> the list since whose begin it was told
  std::uint32_t list_ = 0;
};

std::string key_of(const Json& object) {
  return text_at(object, "/metadata/namespace") + "/" + text_at(object, "/metadata/name");
}

}  // namespace

struct ClusterWatch::State {
  UntakenChanges changes;
  mutable std::mutex mutex;  ///< for the next two
  std::array<bool, kResources.size()> in_step{};
  std::array<bool, kResources.size()> in_trouble{};

  std::string node_name;
  OnChange on_change;
  OnTrouble on_trouble;

  // Each belongs to its watch's thread.
  KnownKeys known_pods;
  KnownKeys known_services;
  KnownKeys known_gateways;
  bool node_known = false;
  bool in_step_but_for_the_node = false;
  std::array<bool, kResources.size()> passed_over{};  ///< said
  bool gateways_refused = false;                      ///< likewise

  // Last: their threads use all of the above.
  std::vector<std::unique_ptr<ResourceWatch>> watches;

  void upsert_pod(const Json& object) {
    auto pod = parse_pod(object);
    if (!pod) {
      return;
    }
    known_pods.add(pod->ref.namespace_name + "/" + pod->ref.name);
    changes.upsert(*std::move(pod));
  }

  void remove_pod(const std::string& key) {
    if (known_pods.remove(key)) {
      changes.remove_pod(key);
    }
  }

  void upsert_service(const Json& object) {
    auto service = parse_service(object);
    if (!service) {
      return;
    }
    const std::string key = service->full_name();
    if (service->type != "LoadBalancer") {
      remove_service(key);
      return;
    }
    keep_what_is_judged(*service);
    known_services.add(key);
    changes.upsert(*std::move(service));
  }

  void remove_service(const std::string& key) {
    if (known_services.remove(key)) {
      changes.remove_service(key);
    }
  }

  void upsert_gateway(const Json& object) {
    if (auto gateway = parse_gateway(object)) {
      known_gateways.add(key_of(object));
      changes.upsert(*std::move(gateway));
    }
  }

  void remove_gateway(const std::string& key) {
    if (known_gateways.remove(key)) {
      changes.remove_service("Gateway " + key);
    }
  }

  /// Who may not read them does without.
  void set_gateway_state(bool synced, const std::string& why) {
    set_state(kGateways, synced, why);
    if (synced && !why.empty() && !std::exchange(gateways_refused, true)) {
      on_trouble(kResources.at(kGateways), why);
    }
  }

  void see_node(const Json& object) {
    // The watch is in step before the node is made; then it is the node that was missing.
    if (!std::exchange(node_known, true) && in_step_but_for_the_node) {
      set_state(kNodes, true, "");
    }
    changes.set(parse_node(object));
  }

  /// The server is in step; with what it says of the node, are we?
  void set_node_state(bool synced, const std::string& why) {
    in_step_but_for_the_node = synced;
    if (synced && !node_known) {
      set_state(kNodes, false,
                "the cluster has no node '" + node_name +
                    "', so none of this node's pods is known and alerts carry no pod's name: give --node-name (in the "
                    "manifest NODE_NAME, from spec.nodeName) the name that `kubectl get nodes` prints");
    } else {
      set_state(kNodes, synced, why);
    }
  }

  void set_state(Resource resource, bool synced, const std::string& why) {
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

  template <typename Take>
  auto told(Resource resource, Take take) {
    return [this, resource, take = std::move(take)](const Json& object) {
      if (object.is_null()) {
        if (!std::exchange(passed_over.at(resource), true)) {
          on_trouble(kResources.at(resource),
                     std::string(kResources.at(resource)) + ": one is larger than any true one, and is passed over");
        }
        return;
      }
      take(object);
      on_change();
    };
  }

  /// Of a collection whose keys are remembered: a new list tells what has gone meanwhile.
  ResourceWatch::Handlers handlers(Resource resource, KnownKeys& known, void (State::*upsert)(const Json&),
                                   void (State::*remove)(const std::string&)) {
    return {.list_begun = [&known] { known.list_begun(); },
            .upserted = told(resource, [this, upsert](const Json& object) { (this->*upsert)(object); }),
            .deleted = told(resource, [this, remove](const Json& object) { (this->*remove)(key_of(object)); }),
            .list_ended =
                [this, &known, remove] {
                  std::ranges::for_each(known.list_ended(), [&](const auto& key) { (this->*remove)(key); });
                  on_change();
                },
            .state = [this, resource](bool synced, const std::string& why) { set_state(resource, synced, why); }};
  }

  ResourceWatch::Handlers node_handlers() {
    return {.list_begun = [this] { node_known = false; },
            .upserted = told(kNodes, [this](const Json& object) { see_node(object); }),
            // A node that is gone takes its agent with it.
            .deleted = [](const Json&) {},
            .list_ended = [] {},
            .state = [this](bool synced, const std::string& why) { set_node_state(synced, why); }};
  }

  ResourceWatch::Handlers gateway_handlers() {
    auto all = handlers(kGateways, known_gateways, &State::upsert_gateway, &State::remove_gateway);
    all.state = [this](bool synced, const std::string& why) { set_gateway_state(synced, why); };
    return all;
  }
};

ClusterWatch::ClusterWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}

ClusterWatch::~ClusterWatch() {
  // All at once, then one after the other.
  for (const auto& watch : state_->watches) {
    watch->stop();
  }
}

Result<std::unique_ptr<ClusterWatch>> ClusterWatch::start(const ClusterAccess& access, const std::string& node_name,
                                                          OnChange on_change, OnTrouble on_trouble) {
  auto state = std::make_unique<State>();
  state->node_name = node_name;
  state->on_change = std::move(on_change);
  state->on_trouble = std::move(on_trouble);
  std::vector<std::unique_ptr<ApiClient>> clients;
  for (std::size_t resource = 0; resource < kResources.size(); resource++) {
    auto client = ApiClient::create(access);
    if (!client) {
      return std::unexpected(client.error());
    }
    clients.push_back(*std::move(client));
  }
  const auto watch = [&](Resource resource, const std::string& selector, ResourceWatch::Handlers handlers) {
    ResourceWatch::Options options;
    options.collection = {.path = std::string(resource == kGateways ? kGatewayApi : kCore) + kResources.at(resource),
                          .field_selector = selector};
    // By their type: Kubernetes 1.31 and later; older ones refuse it.
    options.selector_may_be_refused = resource == kServices;
    options.absent_pause = resource == kGateways ? kAbsentPause : std::chrono::minutes(0);
    state->watches.push_back(
        std::make_unique<ResourceWatch>(options, std::move(clients.at(resource)), std::move(handlers)));
  };
  watch(kPods, "spec.nodeName=" + node_name,
        state->handlers(kPods, state->known_pods, &State::upsert_pod, &State::remove_pod));
  watch(kServices, "spec.type=LoadBalancer",
        state->handlers(kServices, state->known_services, &State::upsert_service, &State::remove_service));
  watch(kNodes, "metadata.name=" + node_name, state->node_handlers());
  watch(kGateways, "", state->gateway_handlers());
  return std::unique_ptr<ClusterWatch>(new ClusterWatch(std::move(state)));
}

ClusterChanges ClusterWatch::take_changes() {
  return state_->changes.take();
}

bool ClusterWatch::synced() const {
  const std::scoped_lock lock(state_->mutex);
  return std::ranges::all_of(state_->in_step, std::identity());
}

}  // namespace hairpind
