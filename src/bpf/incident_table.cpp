// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/incident_table.hpp"

#include <bpf/bpf.h>

#include <atomic>

namespace hairpind {

void IncidentTable::forget(const IncidentKey& key) const {
  const hp_incident_key raw = key.to_abi();
  hp_incident incident{};
  if (bpf_map_lookup_elem(map_fd_, &raw, &incident) != 0 || bpf_map_delete_elem(map_fd_, &raw) != 0) {
    return;
  }
  std::atomic_ref(accounts_.each[incident.account % HP_ACCOUNTS].incidents)--;
  std::atomic_ref(*accounts_.incidents)--;
}

}  // namespace hairpind
