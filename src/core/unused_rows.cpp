// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/unused_rows.hpp"

#include <algorithm>
#include <utility>

namespace hairpind {

namespace {

bool covers(const Frontend& frontend, const IpAddress& address) {
  for (unsigned bit = 0; bit < frontend.prefix_length; bit++) {
    if (((frontend.address.bytes.at(bit / 8) ^ address.bytes.at(bit / 8)) & (0x80U >> (bit % 8))) != 0) {
      return false;
    }
  }
  return frontend.port == 0;
}

}  // namespace

RowUse use_of(const Endpoint& load_balancer, const std::set<Frontend>& watched) {
  if (watched.contains({.address = load_balancer.address, .port = load_balancer.port})) {
    return RowUse::kListed;
  }
  const bool covered =
      std::ranges::any_of(watched, [&](const Frontend& frontend) { return covers(frontend, load_balancer.address); });
  return covered ? RowUse::kCovered : RowUse::kNone;
}

UnusedRows::Turn UnusedRows::look(const std::vector<Row>& rows, const std::function<RowUse(const Endpoint&)>& use,
                                  SinceBoot now) {
  Turn turn;
  std::map<std::uint32_t, Seen> seen;
  std::map<std::uint32_t, RowUse> uses;
  std::size_t covered = 0;
  for (const Row& row : rows) {
    covered += uses.emplace(row.index, use(row.load_balancer)).first->second == RowUse::kCovered ? 1 : 0;
  }
  for (const Row& row : rows) {
    const RowUse used = uses.at(row.index);
    const auto before = seen_.find(row.index);
    const bool changed = before == seen_.end() || before->second.row != row;
    Seen& now_seen = seen.emplace(row.index, Seen{.row = row, .since = now}).first->second;
    const bool was_hidden = before != seen_.end() && before->second.hidden;
    if (changed || used == RowUse::kListed) {
      if (was_hidden) {
        turn.show.push_back(row);
      }
      continue;
    }
    now_seen.since = before->second.since;
    if (was_hidden) {
      turn.give_back.push_back(row);
      seen.erase(row.index);
      continue;
    }
    const bool rests_only = used == RowUse::kNone || covered > options_.crowded;
    now_seen.hidden = now - now_seen.since >= (rests_only ? options_.rest : std::max(options_.rest, options_.covered));
    if (now_seen.hidden) {
      turn.hide.push_back(row);
    }
  }
  seen_ = std::move(seen);
  return turn;
}

}  // namespace hairpind
