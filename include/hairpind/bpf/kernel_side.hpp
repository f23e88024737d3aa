// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>

#include "hairpind/bpf/attachment_table.hpp"
#include "hairpind/bpf/attempt_settler.hpp"
#include "hairpind/bpf/capture_table.hpp"
#include "hairpind/bpf/counter_reader.hpp"
#include "hairpind/bpf/event_ring.hpp"
#include "hairpind/bpf/frontend_table.hpp"
#include "hairpind/bpf/incident_table.hpp"
#include "hairpind/bpf/kernel_features.hpp"
#include "hairpind/bpf/load_balancer_rows.hpp"
#include "hairpind/bpf/owner_table.hpp"
#include "hairpind/bpf/program_variables.hpp"
#include "hairpind/bpf/programs.hpp"

namespace hairpind {

/// The loaded programs, and what writes to and reads from their maps.
///
/// Owns: everything of ours in the kernel. Called by: the event loop; `counters` by any thread. Plain data.
struct KernelSide {
  /// Nothing is on any device yet. `ask_conntrack`: the programs ask netfilter themselves, where the kernel lets them.
  /// The error says what is missing, or holds the verifier's words.
  static Result<std::unique_ptr<KernelSide>> load(const Programs::Options& options, AttachMode mode,
                                                  KernelFeatures features, bool ask_conntrack);

  KernelSide(KernelFeatures features_found, AttachMode mode, std::unique_ptr<Programs> loaded, EventRing opened,
             std::chrono::nanoseconds handshake_timeout);

  KernelFeatures features;
  AttachMode attach_mode;
  std::unique_ptr<Programs> programs;
  ProgramVariables variables;
  AttemptSettler settler;
  EventRing ring;
  std::shared_ptr<const CounterReader> counters;
  KernelMap frontends_map;
  KernelMap prefixes_map;
  KernelMap devices_map;
  KernelMap node_addresses_map;
  KernelMap owners_map;
  KernelMap captures_map;
  FrontendTable frontends;
  AttachmentTable attachments;
  OwnerTable owners;
  CaptureTable captures;
  IncidentTable incidents;
  LoadBalancerRows rows;
};

}  // namespace hairpind
