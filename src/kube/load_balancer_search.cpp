// SPDX-License-Identifier: Apache-2.0
#include "hairpind/kube/load_balancer_search.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "hairpind/kube/api_client.hpp"
#include "hairpind/kube/collection.hpp"
#include "hairpind/kube/load_balancer_objects.hpp"
#include "hairpind/kube/objects.hpp"
#include "json_reading.hpp"
#include "question_thread.hpp"

namespace hairpind {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr const char* kBindings = "/apis/elbv2.k8s.aws/v1beta1";
constexpr const char* kIngresses = "/apis/networking.k8s.io/v1/ingresses";
// Of a question that may concern each of them; true clusters have a few for each load balancer.
constexpr std::size_t kMostBindings = 1024;

}  // namespace

class LoadBalancerSearch::Worker {
 public:
  Worker(std::unique_ptr<ApiClient> client, SearchPauses pauses)
      : client_(std::move(client)),
        pauses_(pauses),
        thread_(*client_, {.waiting = kMostWaiting, .pause = pauses.after_failure},
                [this](const Question& question) { return answer(question); }) {}

  bool is_to_be_asked(const Endpoint& load_balancer) {
    const std::scoped_lock lock(mutex_);
    return is_due(load_balancer, Clock::now());
  }

  void ask(Question question) {
    const std::scoped_lock lock(mutex_);
    const auto now = Clock::now();
    if (!is_due(question.load_balancer, now)) {
      return;
    }
    if (!again_.contains(question.load_balancer) && again_.size() >= kMostAsked) {
      again_.erase(std::ranges::min_element(again_, {}, [](const auto& entry) { return entry.second; }));
    }
    again_[question.load_balancer] = now + pauses_.ask_again;
    thread_.put(std::move(question));
  }

  Answers take() { return thread_.take(); }

 private:
  /// A kind that the server may not have.
  struct Kind {
    Clock::time_point absent_until;
  };

  [[nodiscard]] bool is_due(const Endpoint& load_balancer, Clock::time_point now) const {
    const auto asked = again_.find(load_balancer);
    return thread_.has_room() && (asked == again_.end() || now >= asked->second);
  }
  std::optional<Answers> answer(const Question& question);
  std::optional<LoadBalancerRef> search(const Question& question);
  std::optional<LoadBalancerRef> by_binding(const LoadBalancerTarget& target);
  std::optional<LoadBalancerRef> by_ingress(const IpAddress& address);
  void list(Kind& kind, const std::string& path, const std::function<void(const Json&)>& on_object);
  std::optional<Service> read_service(const std::string& namespace_name, const std::string& name);

  const std::unique_ptr<ApiClient> client_;
  const SearchPauses pauses_;

  // The thread's own.
  Kind bindings_;
  Kind ingresses_;
  bool failed_ = false;  ///< in the present question

  std::mutex mutex_;                             ///< for the next
  std::map<Endpoint, Clock::time_point> again_;  ///< not to be asked about before
  QuestionThread<Question, Endpoint, std::optional<LoadBalancerRef>> thread_;
};

std::optional<LoadBalancerSearch::Answers> LoadBalancerSearch::Worker::answer(const Question& question) {
  failed_ = false;
  auto found = search(question);
  if (failed_) {
    // Who could not be asked has said nothing, and a list that was cut short not which is the oldest.
    const std::scoped_lock lock(mutex_);
    if (const auto asked = again_.find(question.load_balancer); asked != again_.end()) {
      asked->second = Clock::now() + pauses_.after_failure;
    }
    return std::nullopt;
  }
  return Answers{{question.load_balancer, std::move(found)}};
}

std::optional<LoadBalancerRef> LoadBalancerSearch::Worker::search(const Question& question) {
  auto found = by_binding(question.target);
  return found || failed_ ? found : by_ingress(question.load_balancer.address);
}

void LoadBalancerSearch::Worker::list(Kind& kind, const std::string& path,
                                      const std::function<void(const Json&)>& on_object) {
  if (Clock::now() < kind.absent_until) {
    return;
  }
  const auto listed = list_collection(*client_, {.path = path, .field_selector = ""}, {}, on_object);
  if (!listed && (listed.error().status == 404 || listed.error().status == 403)) {
    kind.absent_until = Clock::now() + pauses_.ask_again;
  } else if (!listed) {
    failed_ = true;
  }
}

std::optional<Service> LoadBalancerSearch::Worker::read_service(const std::string& namespace_name,
                                                                const std::string& name) {
  // Version 0: from the server's cache.
  const auto response =
      client_->get("/api/v1/namespaces/" + namespace_name + "/services/" + name + "?resourceVersion=0");
  if (!response || (response->status != 200 && response->status != 404)) {
    failed_ = true;
    return std::nullopt;
  }
  return response->status == 200 ? parse_service(parse_object(response->body).value_or(Json())) : std::nullopt;
}

std::optional<LoadBalancerRef> LoadBalancerSearch::Worker::by_binding(const LoadBalancerTarget& target) {
  std::vector<TargetGroupBinding> bindings;
  const auto take = [&](const Json& object) {
    auto binding = parse_target_group_binding(object);
    // A pod's may be those of its namespace only.
    if (binding && bindings.size() < kMostBindings &&
        (binding->instances ? !target.pod || target.pod->host_network
                            : target.pod && target.pod->ref.namespace_name == binding->namespace_name)) {
      bindings.push_back(*std::move(binding));
    }
  };
  const std::string scope =
      target.pod && !target.pod->host_network ? "/namespaces/" + target.pod->ref.namespace_name : "";
  list(bindings_, kBindings + scope + "/targetgroupbindings", take);
  std::map<std::pair<std::string, std::string>, std::optional<Service>> services;
  for (const TargetGroupBinding& binding : bindings) {
    const std::pair key(binding.namespace_name, binding.service);
    auto read = services.find(key);
    if (read == services.end()) {
      if (services.size() == kMostServices) {
        continue;
      }
      read = services.emplace(key, read_service(binding.namespace_name, binding.service)).first;
      if (failed_) {
        return std::nullopt;
      }
    }
    if (read->second && feeds(binding, *read->second, target)) {
      LoadBalancerRef ref{.namespace_name = binding.namespace_name, .service = binding.service};
      ref.binding = binding.name;
      ref.target_group = binding.target_group;
      return ref;
    }
  }
  return std::nullopt;
}

std::optional<LoadBalancerRef> LoadBalancerSearch::Worker::by_ingress(const IpAddress& address) {
  std::optional<LoadBalancerRef> found;
  std::string created;
  list(ingresses_, kIngresses, [&](const Json& object) {
    if (!is_published_by_ingress(object, address)) {
      return;
    }
    LoadBalancerRef ref{.namespace_name = text_at(object, "/metadata/namespace"),
                        .service = text_at(object, "/metadata/name")};
    ref.kind = "Ingress";
    // Of several the oldest, which nobody can become afterwards; the times are RFC 3339 in UTC.
    std::string since = text_at(object, "/metadata/creationTimestamp");
    if (!found || std::tie(since, ref) < std::tie(created, *found)) {
      found = std::move(ref);
      created = std::move(since);
    }
  });
  return found;
}

LoadBalancerSearch::LoadBalancerSearch(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}

LoadBalancerSearch::~LoadBalancerSearch() = default;

Result<std::unique_ptr<LoadBalancerSearch>> LoadBalancerSearch::start(const ClusterAccess& access,
                                                                      SearchPauses pauses) {
  auto client = ApiClient::create(access);
  if (!client) {
    return std::unexpected(client.error());
  }
  return std::unique_ptr<LoadBalancerSearch>(
      new LoadBalancerSearch(std::make_unique<Worker>(*std::move(client), pauses)));
}

bool LoadBalancerSearch::is_to_be_asked(const Endpoint& load_balancer) const {
  return worker_->is_to_be_asked(load_balancer);
}

void LoadBalancerSearch::ask(Question question) {
  worker_->ask(std::move(question));
}

LoadBalancerSearch::Answers LoadBalancerSearch::take() {
  return worker_->take();
}

}  // namespace hairpind
