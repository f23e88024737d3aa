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
#include <thread>
#include <utility>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {
namespace {

using Clock = std::chrono::steady_clock;

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

  void set_names(const std::set<std::string>& names) {
    {
      const std::scoped_lock lock(wanted_mutex_);
      std::ranges::set_difference(wanted_, names, std::inserter(dropped_, dropped_.end()));
      wanted_ = names;
    }
    eventfd_write(wake_.get(), 1);
  }

 private:
  struct Host {
    Clock::time_point due = Clock::now();
    bool asking = false;
    bool failing = false;
    std::map<IpAddress, Clock::time_point> last_answered;
    std::set<IpAddress> told;
  };
  struct Question {
    Worker* worker;
    std::string name;
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
      take_wanted();
      ask_due();
      wait();
    }
    // Its callbacks run now, while everything they touch is there.
    channel_.reset();
  }

  void take_wanted() {
    const std::scoped_lock lock(wanted_mutex_);
    // One that was dropped and is wanted again starts anew: whoever dropped it has forgotten what was told.
    for (const std::string& name : std::exchange(dropped_, {})) {
      hosts_.erase(name);
    }
    for (const std::string& name : wanted_) {
      hosts_.try_emplace(name);
    }
  }

  void ask_due() {
    // c-ares reads resolv.conf once. A channel that may hold servers of yesterday is replaced while it is idle.
    if (channel_suspect_ && asking_ == 0 && open_channel()) {
      channel_suspect_ = false;
    }
    std::vector<std::string> due;
    for (auto& [name, host] : hosts_) {
      if (!host.asking && host.due <= Clock::now()) {
        host.asking = true;
        due.push_back(name);
      }
    }
    for (const std::string& name : due) {
      asking_++;
      const ares_addrinfo_hints hints{
          .ai_flags = ARES_AI_NOSORT, .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_protocol = 0};
      // Given back in answered(), which c-ares calls exactly once.
      ares_getaddrinfo(channel_.get(), name.c_str(), nullptr, &hints, on_answer,
                       new Question{.worker = this, .name = name});
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
    host.asking = false;
    if (status != ARES_SUCCESS || answer == nullptr || answer->nodes == nullptr) {
      host.due = Clock::now() + options_.retry;
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
    host.due = now + std::max(ttl, options_.shortest_ttl);
    std::erase_if(host.last_answered, [&](const auto& seen) { return now - seen.second > options_.grace; });
    std::set<IpAddress> addresses;
    for (const auto& [address, last] : host.last_answered) {
      addresses.insert(address);
    }
    if (addresses != host.told) {
      host.told = addresses;
      on_change_({.name = name, .addresses = std::move(addresses)});
    }
  }

  [[nodiscard]] int timeout_ms() const {
    auto wait = std::chrono::milliseconds(std::chrono::hours(1));
    for (const auto& [name, host] : hosts_) {
      if (!host.asking) {
        // Up, so as not to wake a moment too early and spin.
        wait = std::min(wait, std::chrono::ceil<std::chrono::milliseconds>(host.due - Clock::now()));
      }
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
  std::mutex wanted_mutex_;
  std::set<std::string> wanted_;
  std::set<std::string> dropped_;
  std::atomic<bool> stopping_{false};

  // The thread's own.
  std::map<std::string, Host> hosts_;
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

void Resolver::set_names(const std::set<std::string>& names) {
  worker_->set_names(names);
}

}  // namespace hairpind
