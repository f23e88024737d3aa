// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/program_variables.hpp"

#include "hairpind/bpf/programs.hpp"
#include "handshake.skel.h"

namespace hairpind {

ProgramVariables::ProgramVariables(const Programs& programs) : object_(&programs.object()) {}

void ProgramVariables::set_ask_conntrack(bool ask) {
  object_->bss->ask_conntrack = ask ? 1 : 0;
}

void ProgramVariables::set_beside_cilium(bool beside) {
  object_->bss->beside_cilium = beside ? 1 : 0;
}

void ProgramVariables::set_answers_may_change(bool may) {
  object_->bss->answers_may_change = may ? 1 : 0;
}

void ProgramVariables::set_captures_armed(std::uint32_t entries) {
  object_->bss->captures_armed = entries;
}

std::span<__u64> ProgramVariables::frontend_filter() const {
  return object_->bss->frontend_filter;
}

bool ProgramVariables::seen(std::uint32_t ifindex) const {
  return std::span(object_->bss->seen_devices)[ifindex % HP_SEEN_DEVICES] != 0;
}

std::uint32_t ProgramVariables::spoofing_device() const {
  return object_->bss->spoofing_device;
}

std::uint32_t ProgramVariables::crowding_device() const {
  return object_->bss->crowding_device;
}

ProgramVariables::Accounts ProgramVariables::accounts() const {
  return {.each = object_->bss->accounts,
          .incidents = &object_->bss->incident_count,
          .unlisted_rows = &object_->bss->unlisted_rows,
          .highest_row = &object_->bss->load_balancer_count};
}

}  // namespace hairpind
