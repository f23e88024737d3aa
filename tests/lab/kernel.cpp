// SPDX-License-Identifier: Apache-2.0
#include "kernel.hpp"

#include <bpf/btf.h>
#include <sys/utsname.h>

#include <memory>

namespace hairpind::testing {
namespace {

bool has_enumerator(const char* enumeration, const std::string& name) {
  const std::unique_ptr<btf, decltype(&btf__free)> types(btf__load_vmlinux_btf(), &btf__free);
  const int id = types ? btf__find_by_name_kind(types.get(), enumeration, BTF_KIND_ENUM) : -1;
  if (id < 0) {
    return false;
  }
  const btf_type* const type = btf__type_by_id(types.get(), static_cast<__u32>(id));
  for (unsigned i = 0; i < btf_vlen(type); i++) {
    if (btf__name_by_offset(types.get(), btf_enum(type)[i].name_off) == name) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string kernel_release() {
  utsname name{};
  uname(&name);
  return name.release;
}

bool kernel_has_drop_reason(const std::string& name) {
  return has_enumerator("skb_drop_reason", "SKB_DROP_REASON_" + name);
}

bool kernel_has_tcx() {
  static const bool has = has_enumerator("bpf_attach_type", "BPF_TCX_INGRESS");
  return has;
}

std::vector<std::string> attach_modes() {
  return kernel_has_tcx() ? std::vector<std::string>{"tcx", "clsact"} : std::vector<std::string>{"clsact"};
}

}  // namespace hairpind::testing
