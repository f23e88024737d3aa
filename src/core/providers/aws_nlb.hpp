// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "aws_attributes.hpp"
#include "provider.hpp"

namespace hairpind::providers {

// kubernetes-sigs/aws-load-balancer-controller, docs/guide/service/annotations.md.
inline constexpr std::string_view kAwsType = "service.beta.kubernetes.io/aws-load-balancer-type";
inline constexpr std::string_view kAwsTargetType = "service.beta.kubernetes.io/aws-load-balancer-nlb-target-type";
inline constexpr std::string_view kAwsAttributes =
    "service.beta.kubernetes.io/aws-load-balancer-target-group-attributes";
inline constexpr std::string_view kAwsTcpUdp = "service.beta.kubernetes.io/aws-load-balancer-enable-tcp-udp-listener";
inline constexpr std::string_view kAwsProxyProtocol = "service.beta.kubernetes.io/aws-load-balancer-proxy-protocol";
inline constexpr std::string_view kAwsScheme = "service.beta.kubernetes.io/aws-load-balancer-scheme";
inline constexpr std::string_view kAwsInternal = "service.beta.kubernetes.io/aws-load-balancer-internal";
inline constexpr std::string_view kPreserve = "preserve_client_ip.enabled";
inline constexpr std::string_view kProxyProtocolV2 = "proxy_protocol_v2.enabled";

inline constexpr std::string_view kAwsClientIpLink =
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/"
    "edit-target-group-attributes.html#client-ip-preservation";
inline constexpr std::string_view kAwsTroubleshootingLink =
    "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-troubleshooting.html";
inline constexpr std::string_view kAwsAnnotationsLink =
    "https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/service/annotations/";

inline constexpr std::string_view kInTreeReleases =
    "cloud-provider-aws honours it only in the 1.31-1.34 releases of December 2025 and later "
    "(kubernetes/cloud-provider-aws pull request 1214)";

enum class Targets : std::uint8_t { kInstance, kIp, kUnknown };

/// What a controller of AWS NLBs heeds. All three heed kAwsAttributes.
struct NlbController {
  Targets default_targets = Targets::kInstance;
  bool target_type = false;        ///< kAwsTargetType
  bool other_is_instance = false;  ///< takes a target type that it does not know for instance
  bool all_annotations = false;  ///< kAwsAttributes with the suffix ".<port>", kAwsProxyProtocol, kAwsTcpUdp, "nlb-ip"
  /// Refuses attributes but preservation and proxy protocol, and preservation off beside a UDP port
  /// (cloud-provider-aws, aws_validations.go).
  bool strict = false;
};

// model_build_target_group.go of the controller.
inline constexpr NlbController kControllerNlb{.default_targets = Targets::kInstance,
                                              .target_type = true,
                                              .other_is_instance = true,
                                              .all_annotations = true,
                                              .strict = false};
// docs.aws.amazon.com/eks/latest/userguide: auto-networking.html (the default), auto-configure-nlb.html.
inline constexpr NlbController kAutoModeNlb{.default_targets = Targets::kIp, .target_type = true};
inline constexpr NlbController kInTreeNlb{.default_targets = Targets::kInstance, .strict = true};

/// The annotation that decides for a port: to read, and to change.
struct NlbSetting {
  Preservation preservation = Preservation::kAbsent;
  std::string key;
};

/// The port's own annotation overrides the one for every port, attribute by attribute. A broken one fails both.
NlbSetting setting_of(const Service& service, std::uint16_t port, const NlbController& controller);

Targets targets_of(const Service& service, const NlbController& controller);
bool speaks_proxy_protocol(const Service& service, const NlbController& controller);
/// One TCP_UDP target group for both protocols of a port, as which AWS keeps the client's address whatever is set.
bool shares_listener_with_udp(const Service& service, std::uint16_t port, const NlbController& controller);

/// Internal is the default of the controllers that read kAwsScheme, internet-facing that of the in-tree one.
bool is_internet_facing(const Service& service, const NlbController& controller);

/// Why a controller refuses an annotation that turns preservation off.
struct NlbRefusal {
  bool udp_port = false;                      ///< the Service has one
  std::optional<std::string_view> attribute;  ///< the first that it does not know
};
std::optional<NlbRefusal> refusal_of(const Service& service, const NlbController& controller);

/// The annotation as it has to be: what it sets now, without what is broken or refused, and preservation off.
std::string corrected(const Service& service, std::string_view key, const NlbController& controller);

/// What turning preservation off costs (docs/guide/service/nlb.md of the controller).
std::string nlb_cost(const Service& service, const NlbController& controller);

/// For a load balancer whose controller is not known: the AWS change, as by far the most frequent, and what it costs.
std::string general_change(const Service& service);

}  // namespace hairpind::providers
