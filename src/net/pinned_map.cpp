// SPDX-License-Identifier: Apache-2.0
#include "hairpind/net/pinned_map.hpp"

#include <bpf/bpf.h>
#include <sys/stat.h>

#include <utility>

#include "hairpind/core/error.hpp"

namespace hairpind {
namespace {

// Nothing, or what is wrong with it.
std::string wrong_shape(int map, const PinnedMap::Shape& shape) {
  bpf_map_info info{};
  std::uint32_t length = sizeof(info);
  if (const int error = bpf_obj_get_info_by_fd(map, &info, &length); error != 0) {
    return fail_errno("ask the kernel about it", error).error().message;
  }
  if (info.type != BPF_MAP_TYPE_LRU_HASH && info.type != BPF_MAP_TYPE_HASH) {
    return "map type " + std::to_string(info.type) + ", expected a hash (" + std::to_string(BPF_MAP_TYPE_HASH) +
           ") or an LRU hash (" + std::to_string(BPF_MAP_TYPE_LRU_HASH) + ")";
  }
  if (info.key_size != shape.key_size || info.value_size != shape.value_size) {
    return "keys of " + std::to_string(info.key_size) + " and values of " + std::to_string(info.value_size) +
           " bytes, expected " + std::to_string(shape.key_size) + " and " + std::to_string(shape.value_size);
  }
  return {};
}

}  // namespace

std::vector<std::string> cilium_bpffs_roots(const std::string& named) {
  return named.empty() ? std::vector<std::string>(kCiliumBpffsRoots.begin(), kCiliumBpffsRoots.end())
                       : std::vector{named};
}

void PinnedMap::refresh(const std::vector<std::string>& roots, PinChanges& changes) {
  std::string path;
  struct stat pin{};
  for (const std::string& root : roots) {
    const std::string candidate = root + "/tc/globals/" + shape_.name;
    if (stat(candidate.c_str(), &pin) == 0) {
      path = candidate;
      break;
    }
  }
  if (path.empty()) {
    if (!path_.empty()) {
      changes.gone.push_back(std::exchange(path_, {}));
      map_ = {};
    }
    return;
  }
  // A pin is a file of its own: one that was made anew has another inode.
  if (path == path_ && pin.st_dev == device_ && pin.st_ino == inode_) {
    return;
  }
  path_ = path;
  device_ = pin.st_dev;
  inode_ = pin.st_ino;
  map_ = {};
  struct bpf_obj_get_opts options{};
  options.sz = sizeof(options);
  options.file_flags = BPF_F_RDONLY;
  const int fd = bpf_obj_get_opts(path.c_str(), &options);
  if (fd < 0) {
    changes.refused.push_back(fail_errno("open the BPF map " + path, fd).error().message);
    return;
  }
  FileDescriptor map(fd);
  if (const std::string wrong = wrong_shape(map.get(), shape_); !wrong.empty()) {
    changes.refused.push_back("the BPF map " + path + " has not the shape of " + shape_.what + ": " + wrong);
    return;
  }
  map_ = std::move(map);
  changes.opened.push_back(path);
}

}  // namespace hairpind
