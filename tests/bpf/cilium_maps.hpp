// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "hairpind/core/address.hpp"
#include "hairpind/core/file_descriptor.hpp"

namespace hairpind::testing {

/// A bpffs on a temporary directory of its own; unmounted when destroyed. As Cilium's, it has tc/globals.
class BpfFilesystem {
 public:
  BpfFilesystem();
  ~BpfFilesystem();
  BpfFilesystem(const BpfFilesystem&) = delete;
  BpfFilesystem& operator=(const BpfFilesystem&) = delete;

  /// Why there is none (not root), or empty.
  [[nodiscard]] const std::string& unavailable() const { return unavailable_; }
  [[nodiscard]] const std::string& root() const { return root_; }
  /// Of the map of that family.
  [[nodiscard]] std::string pin(bool v4) const;
  void unpin(bool v4) const;

 private:
  std::string root_;
  std::string unavailable_;
};

/// What differs between the entries that Cilium writes.
struct CiliumEntryFields {
  bool node_port = false;
  std::uint16_t rev_nat_index = 0;
  std::uint64_t backend_id = 0;
};

/// One of Cilium's conntrack maps of TCP, laid out as its own headers say, and entries as its datapath writes them.
class CiliumMap {
 public:
  explicit CiliumMap(bool v4);
  /// The same with values of another size: what a later Cilium might make of it.
  static CiliumMap with_value_size(bool v4, std::uint32_t bytes);

  void pin(const BpfFilesystem& filesystem) const;

  /// A local client's connection as it leaves the client's device (TUPLE_F_OUT).
  void add_out(const Endpoint& client, const Endpoint& server, const CiliumEntryFields& fields = {}) const;
  /// A connection as it enters a local server's device (TUPLE_F_IN).
  void add_in(const Endpoint& client, const Endpoint& server) const;
  /// The service that a client's connection is balanced for (TUPLE_F_SERVICE).
  void add_service(const Endpoint& client, const Endpoint& frontend, const CiliumEntryFields& fields) const;

  /// All that a connection leaves which Cilium balances on the client's side.
  void add_balanced(const Endpoint& client, const Endpoint& frontend, const Endpoint& backend) const;
  /// All that a hairpin leaves before its SYN-ACK: the client's entry for the load balancer, and the target's.
  void add_hairpin(const Endpoint& client, const Endpoint& load_balancer, const Endpoint& target) const;
  /// The same by a node port, which Cilium serves: an OUT entry of the node's, for the client.
  void add_node_port_hairpin(const Endpoint& client, const Endpoint& load_balancer, const Endpoint& node_port,
                             const Endpoint& target) const;

 private:
  CiliumMap(bool v4, std::uint32_t value_size);
  void add(const Endpoint& daddr, const Endpoint& saddr, std::uint16_t dport, std::uint16_t sport, std::uint8_t flags,
           const CiliumEntryFields& fields) const;

  bool v4_;
  FileDescriptor map_;
};

/// Cilium's map of its endpoints: addresses of pods, each with the ifindex of the pod's device.
class CiliumEndpointMap {
 public:
  CiliumEndpointMap();

  void add(const IpAddress& address, std::uint32_t ifindex) const;
  void pin(const BpfFilesystem& filesystem) const;

 private:
  FileDescriptor map_;
};

}  // namespace hairpind::testing
