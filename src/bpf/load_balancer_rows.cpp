// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/load_balancer_rows.hpp"

#include <bpf/bpf.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <span>
#include <vector>

#include "hairpind/abi.h"

namespace hairpind {
namespace {

// RETRANSMIT_WINDOW_NS (bpf/maps.h), until which an attempt is kept, and the sweep that forgets it.
constexpr std::chrono::seconds kKept{135};

std::uint64_t activity_of(const hp_lb_counters& row) {
  return std::accumulate(
      std::begin(row.mismatches), std::end(row.mismatches),
      row.syns + row.syn_retransmits + row.answered + row.mismatched + row.refused + row.unanswered + row.translations);
}

}  // namespace

LoadBalancerRows::LoadBalancerRows(const Programs& programs, ProgramVariables::Accounts accounts,
                                   std::chrono::nanoseconds handshake_timeout)
    : programs_(programs),
      accounts_(accounts),
      unused_({.rest = kKept + 2 * handshake_timeout, .crowded = HP_UNLISTED_ROWS / 2}) {}

Result<void> LoadBalancerRows::look(const std::set<Frontend>& watched, SinceBoot now) {
  const int table = programs_.map_fd("load_balancers");
  const int index = programs_.map_fd("load_balancer_index");
  const std::uint32_t highest = std::min<std::uint32_t>(*accounts_.highest_row, HP_LB_COUNTERS - 1);
  std::vector<hp_lb_counters> counters(highest + 1);
  std::vector<UnusedRows::Row> rows;
  for (std::uint32_t i = 1; i <= highest; i++) {
    if (const int error = bpf_map_lookup_elem(table, &i, &counters[i]); error != 0) {
      return fail_errno("read the BPF map 'load_balancers'", error);
    }
    if (const Endpoint load_balancer = Endpoint::from_abi(counters[i].lb); !load_balancer.empty()) {
      rows.push_back({.index = i, .load_balancer = load_balancer, .activity = activity_of(counters[i])});
    }
  }
  const auto turn =
      unused_.look(rows, [&](const Endpoint& load_balancer) { return use_of(load_balancer, watched); }, now);
  for (const UnusedRows::Row& row : turn.hide) {
    bpf_map_delete_elem(index, &counters[row.index].lb);
  }
  for (const UnusedRows::Row& row : turn.show) {
    // If it has got another one meanwhile, this one is quiet again soon.
    bpf_map_update_elem(index, &counters[row.index].lb, &row.index, BPF_NOEXIST);
  }
  for (const UnusedRows::Row& row : turn.give_back) {
    const std::uint32_t account = counters[row.index].account % HP_ACCOUNTS;
    const hp_lb_counters none{};
    bpf_map_update_elem(table, &row.index, &none, BPF_EXIST);
    bpf_map_update_elem(programs_.map_fd("free_rows"), nullptr, &row.index, BPF_ANY);
    if (account != 0) {
      std::atomic_ref(accounts_.each[account].rows)--;
      std::atomic_ref(*accounts_.unlisted_rows)--;
    }
  }
  return {};
}

}  // namespace hairpind
