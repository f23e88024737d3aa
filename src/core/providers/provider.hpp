// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "hairpind/core/kubernetes.hpp"
#include "hairpind/core/preservation.hpp"

namespace hairpind::providers {

/// What a provider's rule says of one Service.
struct Judgement {
  Risk risk = Risk::kUnknown;
  std::string reason;
  /// What to change at the load balancer; absent where only clients or placement can be changed (text.hpp,
  /// alternative).
  std::optional<std::string> change = std::nullopt;
  std::optional<std::string_view> link = std::nullopt;  ///< a better page than the provider's own
};

/// One maker of load balancers. Constant; one row a provider, defined in the provider's file.
struct Provider {
  std::string_view name;
  std::string_view link;  ///< the provider's page
  /// Judges a Service with a TCP port whose address the nodes do not translate themselves.
  Judgement (*assess)(const Service& service, const ClusterFacts& facts);
  /// What to check when a handshake failed though `assess` says safe; null: look for a missed translation.
  std::string (*doubt)(const Service& service) = nullptr;
  /// Do the nodes send to the load balancer although the status publishes a virtual IP? Null: they never do.
  bool (*leaves_the_node)(const Service& service) = nullptr;
  /// AWS: the load balancer keeps the client's address for UDP, and nothing turns that off.
  bool keeps_udp_source = false;
};

// Whose load balancer a Service's is says detection.cpp, which has the evidence for each of these.
extern const Provider kAwsController;  ///< NLB of the AWS Load Balancer Controller
extern const Provider kAwsAutoMode;    ///< NLB of EKS Auto Mode
extern const Provider kAwsInTree;      ///< NLB of the in-tree controller or cloud-provider-aws
extern const Provider kAwsNlb;         ///< NLB by its host name; the controller is not known
extern const Provider kAwsClassic;
extern const Provider kAzure;
extern const Provider kGcp;
extern const Provider kOci;
extern const Provider kHuaweiCce;  ///< and Open Telekom Cloud
extern const Provider kTencentTke;
extern const Provider kDigitalOcean;
extern const Provider kHetzner;
extern const Provider kScaleway;
extern const Provider kAkamai;
extern const Provider kVultr;
extern const Provider kOciProxy;
extern const Provider kAlibaba;
extern const Provider kOpenStack;
extern const Provider kUpCloud;
extern const Provider kMetalLb;
extern const Provider kCilium;
extern const Provider kKubeVip;
extern const Provider kUnclaimed;  ///< nothing says

}  // namespace hairpind::providers
