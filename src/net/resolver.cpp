// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/resolver.hpp"

#include <ares.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

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
#include <tuple>
#include <utility>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

using Clock = std::chrono::steady_clock;

// Names being asked for at once. Thousands would be as many packets in a moment, at the node's DNS server and back.
constexpr int kMostAsking = 64;

struct ChannelDeleter {
  void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, ChannelDeleter>;

std::optional<IpAddress> address_of(const ares_addrinfo_node& node) {
  if (node.ai_family == AF_INET) {
    return IpAddress::from_network(&reinterpret_cast<const sockaddr_in*>(node.ai_addr)->sin_addr, 4);
  }
  if (node.ai_family == AF_INET6) {
    return IpAddress::from_network(&reinterpret_cast<const sockaddr_in6*>(node.ai_addr)->sin6_addr, 16);
  }
  return std::nullopt;
}

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
    if (auto opened = open_channel(); !opened) {
      return opened;
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
  struct Host {
    Clock::time_point due;  ///< asked for again; while it is not being asked for, it is in due_ too
    bool asking = false;
    bool failing = false;
    bool crowded = false;  ///< has more addresses than are kept; told once
    std::map<IpAddress, Clock::time_point> last_answered;
    std::set<IpAddress> told;
  };
  using NamedHost = std::map<std::string, Host>::value_type;
  struct Question {
    Worker* worker;
    std::string name;
  };
  struct Order {
    std::string name;
    bool keep_resolved;
  };

  Result<void> open_channel() {
    ares_options options{};
    // Two tries of two seconds for each server: an answer that takes longer is asked for again anyway.
    options.timeout = 2000;
    options.tries = 2;
    options.sock_state_cb = [](void* self, ares_socket_t socket, int readable, int writable) {
      static_cast<Worker*>(self)->watch(socket, readable != 0, writable != 0);
    };
    options.sock_state_cb_data = this;
    ares_channel channel = nullptr;
    if (const int status =
            ares_init_options(&channel, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
        status != ARES_SUCCESS) {
      return fail(std::string("start the DNS resolver (is /etc/resolv.conf readable?): ") + ares_strerror(status));
    }
    channel_.reset(channel);
    if (!options_.servers.empty()) {
      if (const int status = ares_set_servers_ports_csv(channel, options_.servers.c_str()); status != ARES_SUCCESS) {
        return fail("use the DNS servers '" + options_.servers + "': " + ares_strerror(status));
      }
    }
    return {};
  }

  void watch(ares_socket_t socket, bool readable, bool writable) {
    if (!readable && !writable) {
      sockets_.erase(socket);
    } else {
      sockets_[socket] = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
    }
  }

  void run() {
    while (!stopping_) {
      take_orders();
      ask_due();
      wait();
    }
    // Its callbacks run now, while everything they touch is there.
    channel_.reset();
  }

  void take_orders() {
    std::vector<Order> orders;
    {
      const std::scoped_lock lock(orders_mutex_);
      orders.swap(orders_);
    }
    for (const Order& order : orders) {
      const auto [host, is_new] = hosts_.try_emplace(order.name);
      if (!host->second.asking) {
        due_.erase({host->second.due, &*host});
      }
      if (!order.keep_resolved) {
        hosts_.erase(host);
        continue;
      }
      host->second.told.clear();
      if (!host->second.asking) {
        ask_at(*host, Clock::now());
      }
    }
  }

  void ask_at(NamedHost& host, Clock::time_point due) {
    host.second.due = due;
    due_.emplace(due, &host);
  }

  void ask_due() {
    // c-ares reads resolv.conf once. A channel that may hold servers of yesterday is replaced while it is idle.
    if (channel_suspect_ && asking_ == 0 && open_channel()) {
      channel_suspect_ = false;
    }
    const auto now = Clock::now();
    while (!due_.empty() && due_.begin()->first <= now && asking_ < kMostAsking) {
      NamedHost& host = *due_.begin()->second;
      due_.erase(due_.begin());
      host.second.asking = true;
      asking_++;
      const ares_addrinfo_hints hints{
          .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = 0};
      // Given back in answered(), which c-ares calls exactly once.
      ares_getaddrinfo(channel_.get(), host.first.c_str(), nullptr, &hints, on_answer,
                       new Question{.worker = this, .name = host.first});
    }
  }

  static void on_answer(void* context, int status, int /*timeouts*/, ares_addrinfo* answer) {
    const std::unique_ptr<Question> question(static_cast<Question*>(context));
    const std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owned(answer, &ares_freeaddrinfo);
    question->worker->asking_--;
    if (status != ARES_EDESTRUCTION) {
      question->worker->answered(question->name, status, answer);
    }
  }

  void answered(const std::string& name, int status, const ares_addrinfo* answer) {
    const auto found = hosts_.find(name);
    if (found == hosts_.end()) {
      return;
    }
    Host& host = found->second;
    if (!host.asking) {
      // The answer to a question of before it was dropped and wanted again, which is asked for anew.
      return;
    }
    host.asking = false;
    if (status != ARES_SUCCESS || answer == nullptr || answer->nodes == nullptr) {
      ask_at(*found, Clock::now() + options_.retry);
      channel_suspect_ = true;
      if (!std::exchange(host.failing, true)) {
        on_error_(name, std::string("DNS: ") + ares_strerror(status == ARES_SUCCESS ? ARES_ENODATA : status));
      }
      return;
    }
    host.failing = false;
    const auto now = Clock::now();
    std::chrono::milliseconds ttl = options_.longest_ttl;
    for (const ares_addrinfo_node* node = answer->nodes; node != nullptr; node = node->ai_next) {
      if (const auto address = address_of(*node)) {
        host.last_answered[*address] = now;
        ttl = std::min<std::chrono::milliseconds>(ttl, std::chrono::seconds(node->ai_ttl));
      }
    }
    ask_at(*found, now + std::max(ttl, options_.shortest_ttl));
    std::erase_if(host.last_answered, [&](const auto& seen) { return now - seen.second > options_.grace; });
    const std::size_t left_out = keep_newest(host);
    if (!std::exchange(host.crowded, left_out > 0) && left_out > 0) {
      on_error_(name, "DNS: it has more than " + std::to_string(options_.most_addresses) +
                          " addresses; the newest of them are watched");
    }
    std::set<IpAddress> addresses;
    for (const auto& [address, last] : host.last_answered) {
      addresses.insert(address);
    }
    if (addresses != host.told) {
      host.told = addresses;
      on_change_({.name = name, .addresses = std::move(addresses)});
    }
  }

  /// Leaves a name no more addresses than its share, the newest, and of those the ones that are watched already: a zone
  /// that answers with others each time must not take the room of the rest. Returns how many had to go.
  std::size_t keep_newest(Host& host) const {
    auto& seen = host.last_answered;
    if (seen.size() <= options_.most_addresses) {
      return 0;
    }
    std::vector<std::map<IpAddress, Clock::time_point>::iterator> order;
    for (auto each = seen.begin(); each != seen.end(); ++each) {
      order.push_back(each);
    }
    // Newest first; of equals those that have been told, then the lower addresses.
    std::ranges::sort(order, [&](const auto& a, const auto& b) {
      return std::tuple(a->second, host.told.contains(a->first), b->first) >
             std::tuple(b->second, host.told.contains(b->first), a->first);
    });
    for (const auto& each : std::span(order).subspan(options_.most_addresses)) {
      seen.erase(each);
    }
    return order.size() - options_.most_addresses;
  }

  [[nodiscard]] int timeout_ms() const {
    auto wait = std::chrono::milliseconds(std::chrono::hours(1));
    if (!due_.empty() && asking_ < kMostAsking) {
      // Up, so as not to wake a moment too early and spin.
      wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(due_.begin()->first - Clock::now()));
    }
    timeval bound{};
    if (ares_timeout(channel_.get(), nullptr, &bound) != nullptr) {
      wait = std::min(wait, std::chrono::milliseconds(bound.tv_sec * 1000 + bound.tv_usec / 1000 + 1));
    }
    return static_cast<int>(std::max<std::int64_t>(wait.count(), 0));
  }

  void wait() {
    std::vector<pollfd> fds{{.fd = wake_.get(), .events = POLLIN, .revents = 0}};
    for (const auto& [socket, events] : sockets_) {
      fds.push_back({.fd = socket, .events = events, .revents = 0});
    }
    poll(fds.data(), fds.size(), timeout_ms());
    if (fds[0].revents != 0) {
      eventfd_t value = 0;
      eventfd_read(wake_.get(), &value);
    }
    for (std::size_t i = 1; i < fds.size(); i++) {
      // A socket may have been closed by the processing of one before it.
      if (fds[i].revents != 0 && sockets_.contains(fds[i].fd)) {
        const bool readable = (fds[i].revents & (POLLIN | POLLERR | POLLHUP)) != 0;
        const bool writable = (fds[i].revents & POLLOUT) != 0;
        ares_process_fd(channel_.get(), readable ? fds[i].fd : ARES_SOCKET_BAD, writable ? fds[i].fd : ARES_SOCKET_BAD);
      }
    }
    ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
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
  std::set<std::pair<Clock::time_point, NamedHost*>> due_;  ///< of hosts_, not being asked for; soonest first
  std::map<ares_socket_t, short> sockets_;
  int asking_ = 0;
  bool channel_suspect_ = false;
  Channel channel_;

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
