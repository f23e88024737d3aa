// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hairpind/explain/alert_log.hpp"
#include "hairpind/explain/told_alert.hpp"

namespace hairpind {

/// The state of a problem as far as lines tell (docs/design.md, "The life of a problem"). Worst first.
enum class ToldState : std::uint8_t {
  kActive,
  kDormant,  ///< quiet since target or client have left: it comes back
  kQuiet,    ///< nothing was told since: nobody called, or the log ends
  kExposed,  ///< has not failed yet
  kFixed,
};

std::string_view to_string(ToldState state);

/// An incident on one node.
struct ToldIncident {
  ToldAlert alert;                  ///< the newest of a misdirected attempt, else what else was told
  std::vector<ToldPacket> packets;  ///< of all its evidence, by time
  std::uint64_t attempts = 0;
  WallTime since;
  WallTime last;
};

/// A load balancer on one node.
struct ToldNode {
  std::string name;
  ToldState state = ToldState::kActive;
  std::uint64_t attempts = 0;
  WallTime since;
  WallTime last;     ///< misdirected attempt that was told of
  std::string said;  ///< of kFixed and kDormant: the line's message
};

/// Something that happened to a problem on a node.
struct ToldChange {
  WallTime time;
  std::string node;
  std::string what;  ///< opened, reopened, dormant, fixed
};

/// What fails, or failed, at one load balancer.
struct ToldProblem {
  ToldLoadBalancer load_balancer;
  ToldState state = ToldState::kActive;  ///< the worst of its nodes
  std::vector<std::string> causes;
  std::vector<std::string> clients;  ///< pods where known, else addresses
  std::vector<ToldNode> nodes;       ///< worst first
  std::uint64_t attempts = 0;
  WallTime since;
  WallTime last;
  std::string hint;
  std::string runbook;
  std::vector<std::size_t> incidents;  ///< of ClusterState::incidents, most attempts first
  std::vector<ToldChange> changes;     ///< by time
};

/// All of it, at one time.
struct ClusterState {
  WallTime as_of;
  std::uint64_t lines = 0;
  std::uint64_t alerts = 0;
  std::uint64_t passed_over = 0;
  std::vector<ToldProblem> problems;  ///< worst first
  std::vector<ToldIncident> incidents;
  std::vector<std::string> notes;  ///< what could not be taken, a line each
};

/// `now`: by the clock of who reads; a problem of which nothing is told for longer than an agent stays silent is quiet.
ClusterState conclude(const AlertLog& log, std::uint64_t lines, WallTime now);

/// Those whose id begins so, each once; ids that are equal on several nodes are one.
std::vector<std::string> incidents_beginning(const ClusterState& state, std::string_view beginning);

}  // namespace hairpind
