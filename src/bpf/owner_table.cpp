// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/owner_table.hpp"

namespace hairpind {

Result<void> OwnerTable::set(const std::map<IpAddress, std::uint32_t>& wanted) {
  std::erase_if(told_, [&](const auto& old) {
    if (wanted.contains(old.first)) {
      return false;
    }
    remove(owners_, old.first.to_abi());
    return true;
  });
  for (const auto& [address, ifindex] : wanted) {
    if (const auto known = told_.find(address); known != told_.end() && known->second == ifindex) {
      continue;
    }
    if (auto added = put(owners_, address.to_abi(), ifindex, address.to_string()); !added) {
      return added;
    }
    told_.insert_or_assign(address, ifindex);
  }
  return {};
}

}  // namespace hairpind
