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

Problem::Problem(Thresholds thresholds, const ProblemRecord& before) : thresholds_(thresholds), record_(before) {
  record_.interruptions++;
  if (record_.state != ProblemState::kFixed) {
    record_.spared = record_.run = record_.same_node_answers = 0;
  }
}

std::optional<ProblemChange> Problem::update(const ProblemInput& input, SinceBoot now) {
  const Increase increase = increase_in(input);
  // An attempt falls between two looks: the target has to have been here at both.
  const bool target_stayed = input.target == Presence::kHere && last_.target == Presence::kHere;
  last_ = input;
  if (increase.mismatched != 0) {
    return open(increase, now);
  }
  if (record_.mismatched == 0 || record_.state == ProblemState::kFixed) {
    return std::nullopt;
  }
  record_.answered += increase.answered;
  record_.same_node_answers += increase.same_node_answers;
  record_.spared += input.target != Presence::kGone ? increase.answered : 0;
  record_.run += target_stayed ? increase.answered : 0;
  follow(input, now);
  const auto lasts = [&](SinceBoot since) { return now - since >= thresholds_.settle; };
  if (lasts(record_.last_mismatch)) {
    if (record_.proof = find_proof(); record_.proof) {
      return enter(ProblemState::kFixed);
    }
    if (const auto gone = gone_since(); gone && lasts(*gone)) {
      return enter(ProblemState::kDormant);
    }
  }
  return enter(now - record_.last_mismatch >= thresholds_.quiet_after ? ProblemState::kQuiet : ProblemState::kActive);
}

Problem::Increase Problem::increase_in(const ProblemInput& input) const {
  return {.answered = increase_of(input.answered, last_.answered),
          .mismatched = increase_of(input.mismatched, last_.mismatched),
          .same_node_answers = increase_of(input.same_node_answers, last_.same_node_answers)};
}

std::optional<ProblemChange> Problem::open(const Increase& increase, SinceBoot now) {
  std::optional<ProblemChange> change;
  if (record_.mismatched == 0) {
    change = ProblemChange::kOpened;
    record_.opened = now;
  } else if (record_.told) {
    change = ProblemChange::kReopened;
    record_.reopenings++;
  }
  if (change) {
    // Whatever share failed before, another may fail now.
    record_.share_attempts = increase.mismatched - 1 + increase.answered;
    record_.share_mismatched = increase.mismatched - 1;
  } else {
    record_.share_attempts += record_.spared + increase.answered + increase.mismatched;
    record_.share_mismatched += increase.mismatched;
  }
  record_.mismatched += increase.mismatched;
  record_.answered += increase.answered;
  record_.spared = record_.run = record_.same_node_answers = 0;
  record_.last_mismatch = now;
  record_.target_gone.reset();
  record_.clients_gone.reset();
  record_.told.reset();
  record_.proof.reset();
  record_.state = ProblemState::kActive;
  return change;
}

void Problem::follow(const ProblemInput& input, SinceBoot now) {
  for (auto [presence, since] :
       {std::pair{input.target, &record_.target_gone}, std::pair{input.clients, &record_.clients_gone}}) {
    if (presence != Presence::kGone) {
      since->reset();
    } else if (!*since) {
      *since = now;
    }
  }
}

std::optional<SinceBoot> Problem::gone_since() const {
  return target_left() ? record_.target_gone : record_.clients_gone;
}

double Problem::share() const {
  return lowest_share(record_.share_mismatched, record_.share_attempts);
}

double Problem::chance() const {
  return std::pow(1 - share(), static_cast<double>(record_.run));
}

std::optional<FixProof> Problem::find_proof() const {
  if (record_.same_node_answers >= thresholds_.same_node_answers) {
    return FixProof::kSameNodePath;
  }
  const auto runs = static_cast<double>(record_.mismatched + record_.interruptions);
  if (record_.share_mismatched + 1 >= thresholds_.mismatches && record_.run >= thresholds_.run &&
      chance() <= thresholds_.chance / (runs * (runs + 1))) {
    return FixProof::kStatistical;
  }
  return std::nullopt;
}

std::optional<ProblemChange> Problem::enter(ProblemState state) {
  const bool same = record_.state == state;
  record_.state = state;
  switch (state) {
    case ProblemState::kFixed:
      record_.told = state;
      return ProblemChange::kFixed;
    case ProblemState::kDormant:
      // Who comes and goes without a failure tells nothing new.
      if (record_.told) {
        return std::nullopt;
      }
      record_.told = state;
      return ProblemChange::kDormant;
    case ProblemState::kQuiet:
      return same ? std::nullopt : std::optional(ProblemChange::kQuiet);
    case ProblemState::kActive:
      break;
  }
  return std::nullopt;
}

}  // namespace hairpind
