// SPDX-License-Identifier: Apache-2.0
#include "in_cluster.hpp"

#include <spdlog/spdlog.h>

#include <cstdlib>
#include <utility>

namespace hairpind {

Result<std::unique_ptr<InCluster>> InCluster::follow(const Configuration& configuration,
                                                     std::function<void()> on_news) {
  const bool in_pod = std::getenv("KUBERNETES_SERVICE_HOST") != nullptr;
  if (configuration.kubeconfig.empty() && !in_pod) {
    if (configuration.kubernetes_events) {
      spdlog::warn("--kubernetes-events: this is no Kubernetes pod, so there is nowhere to tell; give --kubeconfig");
    }
    return nullptr;
  }
  auto access = configuration.kubeconfig.empty() ? in_cluster_access(kServiceAccountDirectory)
                                                 : kubeconfig_access({configuration.kubeconfig});
  if (!access) {
    // Asked for by name it must work; a pod without a service account may be meant so.
    if (!configuration.kubeconfig.empty()) {
      return std::unexpected(access.error());
    }
    spdlog::warn("{}; going on with the configured load balancers and without names", access.error().message);
    return nullptr;
  }
  if (!access->verify) {
    spdlog::warn(
        "Kubernetes: insecure-skip-tls-verify is set: whoever stands between this node and {} can tell the agent "
        "anything",
        access->url());
  }
  auto cluster = std::make_unique<InCluster>(configuration.node_name);
  auto watch = ClusterWatch::start(
      *access, configuration.node_name,
      [sync = &cluster->sync, on_news = std::move(on_news)] {
        if (sync->is_news()) {
          on_news();
        }
      },
      [](const std::string& resource, const std::string& why) {
        if (why.empty()) {
          spdlog::info("Kubernetes: {} are in step again", resource);
        } else {
          spdlog::warn("Kubernetes: {}; keeping the last view, trying again", why);
        }
      });
  if (!watch) {
    return std::unexpected(watch.error());
  }
  cluster->watch = *std::move(watch);
  auto reader = CiliumIdentityReader::start(*access);
  if (!reader) {
    return std::unexpected(reader.error());
  }
  cluster->identity_reader = *std::move(reader);
  auto search = LoadBalancerSearch::start(*access);
  if (!search) {
    return std::unexpected(search.error());
  }
  cluster->search = *std::move(search);
  if (configuration.kubernetes_events) {
    auto writer = EventWriter::start(*access, {.node = configuration.node_name}, [](const std::string& why) {
      if (why.empty()) {
        spdlog::info("Kubernetes Events: told again");
      } else {
        spdlog::warn("Kubernetes Events: {}", why);
      }
    });
    if (!writer) {
      return std::unexpected(writer.error());
    }
    cluster->event_writer = *std::move(writer);
  }
  spdlog::info("Kubernetes: following {} as node {}", access->url(), configuration.node_name);
  return cluster;
}

void InCluster::take(SinceBoot now) {
  sync.take({.take_changes = [this] { return watch->take_changes(); }, .synced = [this] { return watch->synced(); }},
            now);
}

void InCluster::ask(const std::set<std::uint32_t>& cilium_identities, SinceBoot now) {
  for (const std::uint32_t identity : cilium_identities) {
    if (identity_reader && identities.is_to_be_asked(identity, now)) {
      identity_reader->ask(identity);
    }
  }
}

void InCluster::look_up(const Attempt& attempt) const {
  // The node port or pod that the load balancer chose.
  const Endpoint& target = attempt.returned.empty() ? attempt.synack_sent : attempt.returned;
  const Cluster& known = sync.cluster();
  if (!search || target.empty() || known.is_published(attempt.load_balancer) ||
      !search->is_to_be_asked(attempt.load_balancer)) {
    return;
  }
  const auto ref = known.pod_at(target, attempt.first_syn);
  const Pod* const pod = ref ? known.pod(*ref) : nullptr;
  search->ask({.load_balancer = attempt.load_balancer,
               .target = {.endpoint = target, .pod = pod == nullptr ? std::nullopt : std::optional(*pod)}});
}

void InCluster::tell(const std::vector<Alert>& alerts, SinceBoot now) {
  if (!event_writer) {
    return;
  }
  for (const Alert& alert : alerts) {
    events.on_alert(alert, sync.cluster(), now);
  }
  for (KubernetesEvent& event : events.take_due(now)) {
    event_writer->put(std::move(event));
  }
}

std::optional<KubernetesEventCounts> InCluster::told() const {
  if (!event_writer) {
    return std::nullopt;
  }
  KubernetesEventCounts counts = event_writer->counts();
  counts.lost += events.lost();
  return counts;
}

void InCluster::take_answers() {
  if (identity_reader) {
    for (auto& [identity, labels] : identity_reader->take()) {
      identities.set(identity, std::move(labels));
    }
  }
  if (search) {
    for (const auto& [load_balancer, ref] : search->take()) {
      sync.set_found(load_balancer, ref);
    }
  }
}

}  // namespace hairpind
