// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "hairpind/core/event.hpp"

namespace hairpind {

/// Where somebody is, as far as anybody told. Not known is never gone.
enum class Presence : std::uint8_t { kUnknown, kHere, kGone };

/// DESIGN 2a. Only kFixed says that it is over.
enum class ProblemState : std::uint8_t { kActive, kFixed, kDormant, kQuiet };
enum class ProblemChange : std::uint8_t { kOpened, kReopened, kFixed, kDormant, kQuiet };
enum class FixProof : std::uint8_t { kSameNodePath, kStatistical };

/// "active", "fixed", "dormant", "quiet"; "same_node_path", "statistical".
std::string_view to_string(ProblemState state);
std::string_view to_string(FixProof proof);

/// One load balancer on this node, as of one moment.
struct ProblemInput {
  /// The kernel's counts of it; fewer than before: it has begun to count anew.
  std::uint64_t answered = 0;
  std::uint64_t mismatched = 0;
  std::uint64_t same_node_answers = 0;  ///< answered by way of a target of this node
  Presence target = Presence::kUnknown;
  Presence clients = Presence::kUnknown;  ///< those that failed; kGone: all of them
};

/// All that is known of a problem, as plain data.
struct ProblemRecord {
  ProblemState state = ProblemState::kActive;
  std::optional<ProblemState> told;
  std::optional<FixProof> proof;
  SinceBoot opened{};
  SinceBoot last_mismatch{};
  // Since it was first opened; with no mismatch there is no problem.
  std::uint64_t mismatched = 0;
  std::uint64_t answered = 0;
  std::uint64_t reopenings = 0;
  std::uint64_t interruptions = 0;  ///< of the agent
  // Of this opening, up to the last mismatch, without the one that opened it.
  std::uint64_t share_mismatched = 0;
  std::uint64_t share_attempts = 0;
  // Since the last mismatch.
  std::uint64_t spared = 0;  ///< answered, unless the target was gone
  std::uint64_t run = 0;     ///< those among them during which it was here
  std::uint64_t same_node_answers = 0;
  std::optional<SinceBoot> target_gone;
  std::optional<SinceBoot> clients_gone;

  bool operator==(const ProblemRecord&) const = default;
};

/// Lower bound of a share of which `hits` of `of` were seen: Wilson's, one-sided, at 99.9%. 0 where nothing was seen.
double lowest_share(std::uint64_t hits, std::uint64_t of);

/// Whether what failed between this node and one load balancer still fails: begins with its first mismatch, and goes on
/// for as long as the load balancer is watched.
///
/// `fixed` needs positive evidence after the last mismatch, either of
///  - handshakes answered by way of a target on this node, which is the path that failed;
///  - a run of answered attempts, while a target was on this node, that chance would have spared less than once in a
///    thousand. The share that is compared with is of those attempts, up to the last mismatch, that came after the
///    opening one: that one chose the moment. After each mismatch a run begins, so that a problem of many mismatches
///    has as many chances to look fixed (an interruption is one, too): the n-th gets 1 / (n * (n + 1)) of the
///    thousandth, which adds up to it. Of fewer than four mismatches no share is told: Wilson's bound is too high then.
///
/// Pure: counts, placements and time come in as arguments. Not thread safe; owned by the event loop.
class Problem {
 public:
  struct Thresholds {
    /// After the last mismatch it is called active so long, if nothing else is known.
    std::chrono::nanoseconds quiet_after = std::chrono::minutes(10);
    /// How long an attempt may take to be counted, and a pod to come back in another's place: nothing is concluded
    /// from what has not lasted so long.
    std::chrono::nanoseconds settle = std::chrono::seconds(8);
    std::uint64_t same_node_answers = 3;
    std::uint64_t run = 20;
    std::uint64_t mismatches = 4;
    double chance = 0.001;
  };

  explicit Problem(Thresholds thresholds) : thresholds_(thresholds) {}
  /// Goes on with what another agent on this node has known, until a while ago. Of what is not proven yet the evidence
  /// is gathered anew: a mismatch may have passed unseen between the two.
  Problem(Thresholds thresholds, const ProblemRecord& before);

  /// Takes in what is known now; at least once every few seconds. What has changed by it, if it is worth a word.
  std::optional<ProblemChange> update(const ProblemInput& input, SinceBoot now);

  /// Nothing until the first mismatch.
  [[nodiscard]] std::optional<ProblemState> state() const {
    return record_.mismatched == 0 ? std::nullopt : std::optional(record_.state);
  }
  /// kFixed or kDormant, once told, until the next mismatch: what that one opens again.
  [[nodiscard]] std::optional<ProblemState> told() const { return record_.told; }
  [[nodiscard]] std::optional<FixProof> proof() const { return record_.proof; }
  /// Since when the targets, or the clients, have been known to be gone: of both the earlier one.
  [[nodiscard]] std::optional<SinceBoot> gone_since() const;
  /// Of gone_since(): it was the targets.
  [[nodiscard]] bool target_left() const {
    return record_.target_gone && (!record_.clients_gone || *record_.target_gone <= *record_.clients_gone);
  }

  [[nodiscard]] SinceBoot opened() const { return record_.opened; }
  [[nodiscard]] SinceBoot last_mismatch() const { return record_.last_mismatch; }
  /// Since it was first opened.
  [[nodiscard]] std::uint64_t mismatched() const { return record_.mismatched; }
  [[nodiscard]] std::uint64_t answered() const { return record_.answered; }
  [[nodiscard]] std::uint64_t reopenings() const { return record_.reopenings; }
  /// Since the last mismatch.
  [[nodiscard]] std::uint64_t same_node_answers() const { return record_.same_node_answers; }
  [[nodiscard]] std::uint64_t run() const { return record_.run; }
  /// Of attempts that failed, its lower bound; and how likely chance alone would have spared the run at that share.
  [[nodiscard]] double share() const;
  [[nodiscard]] double chance() const;
  [[nodiscard]] const ProblemRecord& record() const { return record_; }

 private:
  struct Increase {
    std::uint64_t answered = 0;
    std::uint64_t mismatched = 0;
    std::uint64_t same_node_answers = 0;
  };

  [[nodiscard]] Increase increase_in(const ProblemInput& input) const;
  std::optional<ProblemChange> open(const Increase& increase, SinceBoot now);
  void follow(const ProblemInput& input, SinceBoot now);
  [[nodiscard]] std::optional<FixProof> find_proof() const;
  std::optional<ProblemChange> enter(ProblemState state);

  Thresholds thresholds_;
  ProblemInput last_;  ///< as of the last update
  ProblemRecord record_;
};

}  // namespace hairpind
