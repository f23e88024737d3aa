// SPDX-License-Identifier: Apache-2.0
#include "hairpind/core/problem.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace hairpind {
namespace {

// Of the standard normal distribution, 99.9% are below.
constexpr double kZ = 3.0902;

std::uint64_t increase_of(std::uint64_t now, std::uint64_t before) {
  return now - (before <= now ? before : 0);
}

}  // namespace

std::string_view to_string(ProblemState state) {
  switch (state) {
    case ProblemState::kActive:
      return "active";
    case ProblemState::kFixed:
      return "fixed";
    case ProblemState::kDormant:
      return "dormant";
    case ProblemState::kQuiet:
      break;
  }
  return "quiet";
}

std::string_view to_string(FixProof proof) {
  return proof == FixProof::kSameNodePath ? "same_node_path" : "statistical";
}

// E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
double lowest_share(std::uint64_t hits, std::uint64_t of) {
  if (of == 0) {
    return 0;
  }
  const auto n = static_cast<double>(of);
  const double share = static_cast<double>(hits) / n;
  const double margin = kZ * std::sqrt((share * (1 - share) / n) + (kZ * kZ / (4 * n * n)));
  return std::max(0.0, (share + (kZ * kZ / (2 * n)) - margin) / (1 + (kZ * kZ / n)));
}

std::optional<ProblemChange> Problem::update(const ProblemInput& input, SinceBoot now) {
  const Increase increase = increase_in(input);
  // An attempt falls between two looks: the target has to have been here at both.
  const bool target_stayed = input.target == Presence::kHere && last_.target == Presence::kHere;
  last_ = input;
  if (increase.mismatched != 0) {
    return open(increase, now);
  }
  if (mismatched_ == 0 || state_ == ProblemState::kFixed) {
    return std::nullopt;
  }
  answered_ += increase.answered;
  same_node_answers_ += increase.same_node_answers;
  spared_ += input.target != Presence::kGone ? increase.answered : 0;
  run_ += target_stayed ? increase.answered : 0;
  follow(input, now);
  const auto lasts = [&](SinceBoot since) { return now - since >= thresholds_.settle; };
  if (lasts(last_mismatch_)) {
    if (proof_ = find_proof(); proof_) {
      return enter(ProblemState::kFixed);
    }
    if (const auto gone = gone_since(); gone && lasts(*gone)) {
      return enter(ProblemState::kDormant);
    }
  }
  return enter(now - last_mismatch_ >= thresholds_.quiet_after ? ProblemState::kQuiet : ProblemState::kActive);
}

Problem::Increase Problem::increase_in(const ProblemInput& input) const {
  return {.answered = increase_of(input.answered, last_.answered),
          .mismatched = increase_of(input.mismatched, last_.mismatched),
          .same_node_answers = increase_of(input.same_node_answers, last_.same_node_answers)};
}

std::optional<ProblemChange> Problem::open(const Increase& increase, SinceBoot now) {
  std::optional<ProblemChange> change;
  if (mismatched_ == 0) {
    change = ProblemChange::kOpened;
    opened_ = now;
  } else if (told_) {
    change = ProblemChange::kReopened;
    reopenings_++;
  }
  if (change) {
    // Whatever share failed before, another may fail now.
    share_attempts_ = increase.mismatched - 1 + increase.answered;
    share_mismatched_ = increase.mismatched - 1;
  } else {
    share_attempts_ += spared_ + increase.answered + increase.mismatched;
    share_mismatched_ += increase.mismatched;
  }
  mismatched_ += increase.mismatched;
  answered_ += increase.answered;
  spared_ = run_ = same_node_answers_ = 0;
  last_mismatch_ = now;
  target_gone_.reset();
  clients_gone_.reset();
  told_.reset();
  proof_.reset();
  state_ = ProblemState::kActive;
  return change;
}

void Problem::follow(const ProblemInput& input, SinceBoot now) {
  for (auto [presence, since] : {std::pair{input.target, &target_gone_}, std::pair{input.clients, &clients_gone_}}) {
    if (presence != Presence::kGone) {
      since->reset();
    } else if (!*since) {
      *since = now;
    }
  }
}

std::optional<SinceBoot> Problem::gone_since() const {
  return target_left() ? target_gone_ : clients_gone_;
}

double Problem::share() const {
  return lowest_share(share_mismatched_, share_attempts_);
}

double Problem::chance() const {
  return std::pow(1 - share(), static_cast<double>(run_));
}

std::optional<FixProof> Problem::find_proof() const {
  if (same_node_answers_ >= thresholds_.same_node_answers) {
    return FixProof::kSameNodePath;
  }
  const auto mismatches = static_cast<double>(mismatched_);
  if (share_mismatched_ + 1 >= thresholds_.mismatches && run_ >= thresholds_.run &&
      chance() <= thresholds_.chance / (mismatches * (mismatches + 1))) {
    return FixProof::kStatistical;
  }
  return std::nullopt;
}

std::optional<ProblemChange> Problem::enter(ProblemState state) {
  const bool same = state_ == state;
  state_ = state;
  switch (state) {
    case ProblemState::kFixed:
      told_ = state;
      return ProblemChange::kFixed;
    case ProblemState::kDormant:
      // Who comes and goes without a failure tells nothing new.
      if (told_) {
        return std::nullopt;
      }
      told_ = state;
      return ProblemChange::kDormant;
    case ProblemState::kQuiet:
      return same ? std::nullopt : std::optional(ProblemChange::kQuiet);
    case ProblemState::kActive:
      break;
  }
  return std::nullopt;
}

}  // namespace hairpind
