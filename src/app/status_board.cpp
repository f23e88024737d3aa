// SPDX-License-Identifier: Apache-2.0
#include "status_board.hpp"

namespace hairpind {
namespace {

constexpr std::chrono::seconds kStalled{10};

}  // namespace

Status StatusBoard::read() const {
  const std::scoped_lock lock(mutex_);
  return status_;
}

bool is_healthy(const Status& status, SinceBoot now) {
  return status.last_turn.count() == 0 || now - status.last_turn < kStalled;
}

bool is_ready(const Status& status, SinceBoot now) {
  const bool watches_for_nothing = status.watched.watched == 0 && status.watched.unwatched != 0;
  return status.last_turn.count() != 0 && is_healthy(status, now) && status.attached.complete &&
         !status.attached.nothing_watched && !watches_for_nothing;
}

}  // namespace hairpind
