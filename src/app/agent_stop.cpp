// SPDX-License-Identifier: Apache-2.0
// How the agent leaves: off the devices first, whatever anybody else does.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "agent.hpp"

namespace hairpind {
namespace {

// A reader that is there takes what is left in that time.
constexpr std::chrono::milliseconds kLastAlerts{500};
// A thread that waits for its peer: an API server that does not answer, an HTTP client that drips.
constexpr std::chrono::milliseconds kThreads{1000};

}  // namespace

bool Agent::stop() {
  // Each ends in a thread of its own, while this one detaches: they may take seconds over it, and none waits for
  // another. What they own they take along, so that none is waited for in the end either.
  struct Endings {
    std::atomic<int> left = 0;
  };
  const auto endings = std::make_shared<Endings>();
  const auto end = [&endings](auto owned) {
    endings->left++;
    std::thread([endings, owned = std::move(owned)]() mutable {
      owned.reset();
      endings->left--;
    }).detach();
  };
  if (cluster_) {
    end(std::move(cluster_->watch));
    end(std::move(cluster_->identity_reader));
    end(std::move(cluster_->search));
    end(std::move(cluster_->event_writer));
  }
  end(std::move(resolver_));
  end(std::move(http_));
  devices_->detach();
  tell_the_rest();
  const SinceBoot until = EventLoop::now() + kThreads;
  while (endings->left != 0 && EventLoop::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  if (endings->left != 0) {
    spdlog::warn("a thread still waits for the API server, DNS or an HTTP client; leaving without it");
  }
  return endings->left == 0;
}

void Agent::tell_the_rest() {
  on_records();
  count();
  keep_problems(true);
  const AlertSources sources = alert_sources();
  std::vector<Alert> untold = reporter_->take_untold(EventLoop::now(), sources);
  problems_.mark_reopening(untold, sources);
  std::ranges::move(evidence_->take_untold(EventLoop::now(), sources), std::back_inserter(untold));
  write(untold);
  alerts_.finish();
  const SinceBoot until = EventLoop::now() + kLastAlerts;
  while (alerts_.waiting() != 0 && EventLoop::now() < until) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    alerts_.retry();
  }
  if (alerts_.waiting() != 0) {
    spdlog::error("{} alerts are lost: the alert stream {} does not take them", alerts_.waiting(),
                  configuration_.alerts);
  }
}

}  // namespace hairpind
