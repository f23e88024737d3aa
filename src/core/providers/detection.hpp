// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "provider.hpp"

namespace hairpind::providers {

/// May any provider's rule read this annotation?
bool reads(std::string_view annotation);

/// Whose load balancer it is; kUnclaimed where nothing says. The surest evidence counts: the class binds a Service to
/// one controller, then the AWS type annotation, then the name that the status publishes, then any provider's
/// annotation.
const Provider& provider_of(const Service& service);

/// Do the nodes translate the published address themselves, so that no connection leaves for the load balancer?
bool nodes_translate(const Service& service, const Provider& provider);

/// The names on a Service that ought to say whose load balancer it is, and say nothing here.
struct UnknownNames {
  bool load_balancer_class = false;
  bool aws_type = false;               ///< its value is not known
  bool aws_type_beside_class = false;  ///< it is, but does not count beside a class
};
UnknownNames unknown_names(const Service& service);

}  // namespace hairpind::providers
