// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/resolver.hpp"

#include <ares.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "answered_addresses.hpp"
#include "dns_channel.hpp"
#include "hairpind/core/file_descriptor.hpp"
#include "hairpind/core/zonal_names.hpp"

namespace hairpind {
namespace {

using Clock = std::chrono::steady_clock;

// Names being asked for at once. Thousands would be as many packets in a moment, at the node's DNS server and back.
constexpr int kMostAsking = 64;
// The same of further questions, so that servers that keep silent about these delay no name.
constexpr int kMostFurther = 16;

enum class Kind {
  kNode,     ///< the name itself, at the node's servers
  kCluster,  ///< the same at the cluster's
  kZone,     ///< a zonal name of it, at the node's: in each place the same
};

}  // namespace

class Resolver::Worker {
 public:
  Worker(Options options, OnChange on_change, OnError on_error, FileDescriptor wake)
      : options_(std::move(options)),
        on_change_(std::move(on_change)),
        on_error_(std::move(on_error)),
        wake_(std::move(wake)) {}

  ~Worker() {
    if (thread_.joinable()) {
      stopping_ = true;
      eventfd_write(wake_.get(), 1);
      thread_.join();
    }
  }
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  Result<void> start() {
    auto node = DnsChannel::open(options_.servers);
    if (!node) {
      return std::unexpected(node.error());
    }
    node_ = *std::move(node);
    if (!options_.cluster_servers.empty()) {
      auto cluster = DnsChannel::open(options_.cluster_servers);
      if (!cluster) {
        return std::unexpected(cluster.error());
      }
      cluster_ = *std::move(cluster);
    }
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void change_names(const std::set<std::string>& added, const std::set<std::string>& dropped) {
    {
      const std::scoped_lock lock(orders_mutex_);
      std::ranges::transform(dropped, std::back_inserter(orders_), [](const auto& name) { return Order{name, false}; });
      std::ranges::transform(added, std::back_inserter(orders_), [](const auto& name) { return Order{name, true}; });
    }
    eventfd_write(wake_.get(), 1);
  }

 private:
  struct Host;
  using NamedHost = std::map<std::string, Host>::value_type;
  /// What is asked again and again for a host.
  struct Question {
    Kind kind;
    std::string name;
    NamedHost* host;
    // NOLINTNEXTLINE(readability-redundant-member-init): g++ warns of designated initializers that leave it out
    Clock::time_point due{};  ///< while it is not being asked, it is queued with this
    bool asking = false;
    bool failing = false;
    bool crowded = false;  ///< has more addresses than are kept; told once
    AnsweredAddresses addresses{};
  };
  struct Host {
    std::vector<std::shared_ptr<Question>> questions;  ///< the node's first
    std::string zones_of;                              ///< the name whose zonal names are among them
    std::set<IpAddress> told;
  };
  struct Order {
    std::string name;
    bool keep_resolved;
  };
  struct Queue {
    int most;  ///< being asked at once
    std::chrono::milliseconds spacing;
    int asking = 0;
    // NOLINTBEGIN(readability-redundant-member-init): likewise
    Clock::time_point next{};                                 ///< nothing is asked before
    std::set<std::pair<Clock::time_point, Question*>> due{};  ///< not being asked; soonest first
    // NOLINTEND(readability-redundant-member-init)
  };

  void run() {
    while (!stopping_) {
      take_orders();
      ask_due(names_);
      ask_due(further_);
      wait();
    }
    node_.reset();
    cluster_.reset();
  }

  void take_orders() {
    std::vector<Order> orders;
    {
      const std::scoped_lock lock(orders_mutex_);
      orders.swap(orders_);
    }
    for (const Order& order : orders) {
      const auto [host, is_new] = hosts_.try_emplace(order.name);
      if (!order.keep_resolved) {
        drop_questions(host->second, 0);
        hosts_.erase(host);
        continue;
      }
      host->second.told.clear();
      if (is_new) {
        add_question(*host, Kind::kNode, order.name, Clock::now());
        if (cluster_) {
          add_question(*host, Kind::kCluster, order.name, Clock::now());
        }
      } else if (!host->second.questions.front()->asking) {
        ask_at(*host->second.questions.front(), Clock::now());
      }
    }
  }

  void add_question(NamedHost& host, Kind kind, const std::string& name, Clock::time_point due) {
    host.second.questions.push_back(
        std::make_shared<Question>(Question{.kind = kind, .name = name, .host = &host, .due = due}));
    queue_of(kind).due.emplace(due, host.second.questions.back().get());
  }

  Queue& queue_of(Kind kind) { return kind == Kind::kNode ? names_ : further_; }

  /// All from this one on. Their answers are for nobody then.
  void drop_questions(Host& host, std::size_t first) {
    for (const auto& question : std::span(host.questions).subspan(first)) {
      queue_of(question->kind).due.erase({question->due, question.get()});
    }
    host.questions.resize(first);
  }

  void ask_at(Question& question, Clock::time_point due) {
    auto& queue = queue_of(question.kind).due;
    queue.erase({question.due, &question});
    question.due = due;
    queue.emplace(due, &question);
  }

  void ask_due(Queue& queue) {
    const auto now = Clock::now();
    while (!queue.due.empty() && queue.due.begin()->first <= now && queue.asking < queue.most && queue.next <= now) {
      queue.next = now + queue.spacing;
      Question& question = *queue.due.begin()->second;
      queue.due.erase(queue.due.begin());
      question.asking = true;
      queue.asking++;
      const auto& all = question.host->second.questions;
      const auto owner = std::ranges::find(all, &question, &std::shared_ptr<Question>::get);
      DnsChannel& channel = question.kind == Kind::kCluster ? *cluster_ : *node_;
      channel.ask(question.name, [this, &queue, asked = std::weak_ptr(*owner)](const DnsAnswer& answer) {
        queue.asking--;
        // Else it was dropped meanwhile.
        if (const auto still = asked.lock()) {
          answered(*still, answer);
        }
      });
    }
  }

  void answered(Question& question, const DnsAnswer& answer) {
    question.asking = false;
    if (answer.addresses.empty()) {
      failed(question, answer);
      return;
    }
    question.failing = false;
    const auto now = Clock::now();
    question.addresses.add(answer.addresses, now);
    ask_at(question, now + pause_after(question, answer));
    forget_old(question, now);
    if (question.kind == Kind::kNode) {
      ask_for_zones(*question.host, answer);
    }
    tell(*question.host);
  }

  void failed(Question& question, const DnsAnswer& answer) {
    ask_at(question, Clock::now() + pause_after(question, answer));
    const bool begins = !std::exchange(question.failing, true);
    if (question.kind == Kind::kZone) {
      // Most zones are not there, and what fails here fails for the name, too.
      if (answer.absent) {
        forget_old(question, Clock::now());
        tell(*question.host);
      }
      return;
    }
    if (begins) {
      complain(question, answer.why);
    }
    if (begins && question.kind == Kind::kNode && cluster_) {
      // Who may know more is not asked in ten minutes only.
      if (Question& other = *question.host->second.questions.at(1); !other.asking) {
        ask_at(other, Clock::now());
      }
    }
  }

  void complain(const Question& question, const std::string& why) const {
    on_error_(question.host->first, (question.kind == Kind::kCluster ? "the cluster's DNS: " : "DNS: ") + why);
  }

  [[nodiscard]] std::chrono::milliseconds pause_after(const Question& question, const DnsAnswer& answer) const {
    const bool has_answer = !answer.addresses.empty();
    switch (question.kind) {
      case Kind::kNode:
        return has_answer ? std::max(std::min<std::chrono::milliseconds>(answer.ttl, options_.longest_ttl),
                                     options_.shortest_ttl)
                          : options_.retry;
      case Kind::kCluster:
        return question.host->second.questions.front()->failing ? options_.longest_ttl : options_.rare;
      case Kind::kZone:
        break;
    }
    return answer.absent && question.addresses.all().empty() ? options_.absent : options_.rare;
  }

  /// Of the name itself, or of one that it stands for.
  void ask_for_zones(NamedHost& named, const DnsAnswer& answer) {
    Host& host = named.second;
    std::vector<std::string> names{named.first};
    names.insert(names.end(), answer.aliases.begin(), answer.aliases.end());
    const auto zonal = std::ranges::find_if(names, [](const auto& name) { return !zonal_names(name).empty(); });
    if (zonal == names.end() || *zonal == host.zones_of) {
      return;
    }
    host.zones_of = *zonal;
    drop_questions(host, cluster_ ? 2 : 1);
    for (const std::string& name : zonal_names(*zonal)) {
      // With the dot at its end it is looked for in no domain of resolv.conf's search list.
      add_question(named, Kind::kZone, name + ".", Clock::now());
    }
  }

  /// What left the answers too long ago, and what is more than a name may have.
  void forget_old(Question& question, Clock::time_point now) const {
    const auto kept = options_.grace + (question.kind == Kind::kNode ? std::chrono::milliseconds(0) : options_.rare);
    question.addresses.forget_before(now - kept);
    const std::size_t left_out = question.addresses.keep_newest(options_.most_addresses, question.host->second.told);
    if (!std::exchange(question.crowded, left_out > 0) && left_out > 0) {
      complain(question, "it has more than " + std::to_string(options_.most_addresses) +
                             " addresses; the newest of them are watched");
    }
  }

  void tell(NamedHost& named) {
    std::set<IpAddress> addresses;
    for (const auto& question : named.second.questions) {
      for (const auto& [address, last] : question->addresses.all()) {
        if (addresses.size() < options_.most_addresses) {
          addresses.insert(address);
        }
      }
    }
    if (addresses != named.second.told) {
      named.second.told = addresses;
      on_change_({.name = named.first, .addresses = std::move(addresses)});
    }
  }

  [[nodiscard]] int timeout_ms() const {
    auto wait = std::chrono::milliseconds(std::chrono::hours(1));
    for (const Queue* const queue : {&names_, &further_}) {
      if (!queue->due.empty() && queue->asking < queue->most) {
        // Up, so as not to wake a moment too early and spin.
        const auto next = std::max(queue->due.begin()->first, queue->next);
        wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now()));
      }
    }
    for (const auto* const channel : {&node_, &cluster_}) {
      if (*channel) {
        wait = std::min(wait, (*channel)->timeout().value_or(wait));
      }
    }
    return static_cast<int>(std::max<std::int64_t>(wait.count(), 0));
  }

  void wait() {
    std::vector<pollfd> fds{{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    for (const auto* const channel : {&node_, &cluster_}) {
      if (*channel) {
        (*channel)->add_to(fds);
      }
    }
    poll(fds.data(), fds.size(), timeout_ms());
    if (fds[0].revents != 0) {
      eventfd_t value = 0;
      eventfd_read(wake_.get(), &value);
    }
    for (const auto* const channel : {&node_, &cluster_}) {
      if (*channel) {
        (*channel)->handle(fds);
      }
    }
  }

  const Options options_;
  const OnChange on_change_;
  const OnError on_error_;
  const FileDescriptor wake_;
  std::mutex orders_mutex_;
  std::vector<Order> orders_;  ///< not yet carried out, in their order
  std::atomic<bool> stopping_{false};

  // The thread's own.
  std::map<std::string, Host> hosts_;
  Queue names_{.most = kMostAsking, .spacing = {}};
  Queue further_{.most = kMostFurther, .spacing = options_.spacing};
  std::unique_ptr<DnsChannel> node_;
  std::unique_ptr<DnsChannel> cluster_;  ///< null: no servers of the cluster's

  std::thread thread_;
};

Resolver::Resolver(std::unique_ptr<Worker> worker) : worker_(std::move(worker)) {}
Resolver::~Resolver() = default;

Result<std::unique_ptr<Resolver>> Resolver::start(Options options, OnChange on_change, OnError on_error) {
  if (const int status = ares_library_init(ARES_LIB_INIT_ALL); status != ARES_SUCCESS) {
    return fail(std::string("initialize c-ares: ") + ares_strerror(status));
  }
  FileDescriptor wake(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (wake.get() < 0) {
    return fail_errno("open an eventfd for the DNS resolver", errno);
  }
  auto worker =
      std::make_unique<Worker>(std::move(options), std::move(on_change), std::move(on_error), std::move(wake));
  if (auto started = worker->start(); !started) {
    return std::unexpected(started.error());
  }
  return std::unique_ptr<Resolver>(new Resolver(std::move(worker)));
}

void Resolver::change_names(const std::set<std::string>& added, const std::set<std::string>& dropped) {
  worker_->change_names(added, dropped);
}

}  // namespace hairpind
