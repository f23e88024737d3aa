// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/kubernetes_events.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "hairpind/core/printable.hpp"

namespace hairpind {
namespace {

constexpr std::uint64_t kLargestCount = std::numeric_limits<std::int32_t>::max();
constexpr std::size_t kLongestName = 253;
// Of more, those that were told of longest ago are counted from one again.
constexpr std::size_t kMostIncidents = 2048;

struct Told {
  std::string_view reason;
  bool warning = true;
  bool failure = false;
};

constexpr std::string_view kAsymmetricHairpin = "AsymmetricHairpin";

// A dormant one is a warning: nothing has changed but the placement, and whoever looks for warnings alone must not take
// its silence for a fix.
std::optional<Told> told_by(AlertEvent event) {
  switch (event) {
    case AlertEvent::kAsymmetricHandshake:
    case AlertEvent::kAsymmetricHandshakeRepeated:
      return Told{.reason = kAsymmetricHairpin, .warning = true, .failure = true};
    case AlertEvent::kAsymmetricHandshakeResolved:
      return Told{.reason = "HairpinResolved", .warning = false, .failure = false};
    case AlertEvent::kAsymmetricHandshakeDormant:
      return Told{.reason = "HairpinDormant", .warning = true, .failure = false};
    case AlertEvent::kAsymmetricHandshakeEvidence:
    case AlertEvent::kHairpinExposure:
      break;
  }
  return std::nullopt;
}

/// As the API server names objects: others would be no part of a URL.
bool is_object_name(std::string_view text) {
  return !text.empty() && text.size() <= kLongestName && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

/// Nothing of a pod that is gone: nobody describes it any more.
std::optional<EventObject> pod_object(const std::optional<PodRef>& ref, const Cluster& cluster) {
  const Pod* const pod = ref ? cluster.pod(*ref) : nullptr;
  if (pod == nullptr) {
    return std::nullopt;
  }
  return EventObject{.api_version = "v1",
                     .kind = "Pod",
                     .namespace_name = pod->ref.namespace_name,
                     .name = pod->ref.name,
                     .uid = pod->uid};
}

std::optional<EventObject> load_balancer_object(const std::optional<LoadBalancerRef>& ref) {
  if (!ref) {
    return std::nullopt;
  }
  EventObject object{
      .api_version = "v1", .kind = "Service", .namespace_name = ref->namespace_name, .name = ref->service, .uid = ""};
  if (ref->kind == "Gateway") {
    object.api_version = "gateway.networking.k8s.io/v1";
    object.kind = "Gateway";
  } else if (ref->kind == "Ingress") {
    object.api_version = "networking.k8s.io/v1";
    object.kind = "Ingress";
  }
  return object;
}

}  // namespace

std::set<EventObject> KubernetesEvents::concerned(const Alert& alert, const Cluster& cluster) {
  std::set<EventObject> objects;
  for (const auto& object :
       {pod_object(alert.client_pod, cluster), load_balancer_object(alert.load_balancer_service)}) {
    if (object && is_object_name(object->namespace_name) && is_object_name(object->name)) {
      objects.insert(*object);
    }
  }
  return objects;
}

void KubernetesEvents::on_alert(const Alert& alert, const Cluster& cluster, SinceBoot now) {
  const auto told = told_by(alert.event);
  if (!told) {
    return;
  }
  std::set<EventObject> objects = concerned(alert, cluster);
  std::uint64_t occurrences = 1;
  if (told->failure) {
    // Of nobody known: whoever is known later is told of these attempts, too.
    if (objects.empty()) {
      return;
    }
    occurrences = attempts_since(alert, now);
  } else {
    // Whoever was told of the failure is told of its end, not only the client that failed last.
    for (auto& [key, record] : records_) {
      if (!record.failing || record.load_balancer != alert.load_balancer) {
        continue;
      }
      record.failing = false;
      const EventObject& object = key.first;
      const PodRef ref{.namespace_name = object.namespace_name, .name = object.name, .workload = ""};
      const Pod* const pod = object.kind == "Pod" ? cluster.pod(ref) : nullptr;
      if (object.kind != "Pod" || (pod != nullptr && pod->uid == object.uid)) {
        objects.insert(object);
      }
    }
  }
  for (const EventObject& object : objects) {
    Record* const record = record_of({object, told->reason}, alert, now);
    if (record == nullptr) {
      lost_++;
      continue;
    }
    KubernetesEvent& event = record->event;
    event.warning = told->warning;
    event.message = printable(alert.hint.empty() ? alert.message : alert.message + ". " + alert.hint, kLongestMessage);
    event.last = std::max(event.last, alert.time);
    event.count = static_cast<std::uint32_t>(std::min(event.count + occurrences, kLargestCount));
    record->untold = true;
    record->seen = now;
    record->load_balancer = alert.load_balancer;
    record->failing = told->failure;
  }
}

std::uint64_t KubernetesEvents::attempts_since(const Alert& alert, SinceBoot now) {
  auto counted = counted_.find(alert.incident);
  if (counted == counted_.end()) {
    if (counted_.size() >= kMostIncidents) {
      counted_.erase(std::ranges::min_element(counted_, {}, [](const auto& entry) { return entry.second.second; }));
    }
    counted = counted_.try_emplace(alert.incident).first;
  }
  // The kernel's count of an incident that it had forgotten begins anew.
  const std::uint64_t before = counted->second.first <= alert.count ? counted->second.first : 0;
  counted->second = {alert.count, now};
  return alert.count - before;
}

KubernetesEvents::Record* KubernetesEvents::record_of(const Key& key, const Alert& alert, SinceBoot now) {
  if (const auto found = records_.find(key); found != records_.end()) {
    return &found->second;
  }
  if (records_.size() >= kMost) {
    // Who has been told within the hour keeps its place, or the hour would mean nothing.
    auto oldest = records_.end();
    for (auto each = records_.begin(); each != records_.end(); ++each) {
      const Record& record = each->second;
      if (!record.untold && record.told && now - *record.told >= kInterval &&
          (oldest == records_.end() || record.seen < oldest->second.seen)) {
        oldest = each;
      }
    }
    if (oldest == records_.end()) {
      return nullptr;
    }
    records_.erase(oldest);
  }
  Record& record = records_[key];
  record.event.name = new_name(key.first.name, alert.time);
  record.event.object = key.first;
  record.event.reason = key.second;
  record.event.first = record.event.last = alert.time;
  return &record;
}

std::string KubernetesEvents::new_name(const std::string& object, WallTime time) {
  // As client-go names them, and never the same twice. Of another agent of the same object, that is not to be expected
  // either: it would have to tell of it in the same nanosecond.
  stamp_ = std::max<std::int64_t>(time.time_since_epoch().count(), stamp_ + 1);
  std::array<char, 18> suffix{};
  std::snprintf(suffix.data(), suffix.size(), ".%016llx", static_cast<unsigned long long>(stamp_));
  std::string name = object.substr(0, kLongestName - (suffix.size() - 1));
  name.erase(name.find_last_not_of("-.") + 1);
  return name + suffix.data();
}

std::vector<KubernetesEvent> KubernetesEvents::take_due(SinceBoot now) {
  std::vector<KubernetesEvent> due;
  for (auto& [key, record] : records_) {
    if (record.untold && (!record.told || now - *record.told >= kInterval)) {
      record.untold = false;
      record.event.told_before = record.told.has_value();
      record.told = now;
      due.push_back(record.event);
    }
  }
  std::erase_if(records_,
                [&](const auto& entry) { return !entry.second.untold && now - entry.second.seen >= kForgotten; });
  return due;
}

}  // namespace hairpind
