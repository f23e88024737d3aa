// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "hairpind/core/file_descriptor.hpp"

namespace hairpind {

/// Where Cilium mounts its bpffs: the usual place, and its own fallback (cilium, pkg/defaults).
inline constexpr std::array kCiliumBpffsRoots{"/sys/fs/bpf", "/run/cilium/bpffs"};
/// `named`, or these if it is empty.
std::vector<std::string> cilium_bpffs_roots(const std::string& named);

/// What a look at the pins has found; for the log.
struct PinChanges {
  std::vector<std::string> opened;   ///< paths of maps that are read from now on
  std::vector<std::string> gone;     ///< paths of pins that are not there any more
  std::vector<std::string> refused;  ///< why a map that is there is not read
};

/// A hash map of Cilium's, found by its pin in tc/globals of a bpffs and opened to be read. Never written to, never
/// trusted in another shape.
///
/// Owns the map's descriptor. Not thread safe; owned by the event loop.
class PinnedMap {
 public:
  /// How it must be, by the kernel's own word: name of the pin, bytes of keys and values, what it is in a sentence.
  struct Shape {
    const char* name;
    std::uint32_t key_size;
    std::uint32_t value_size;
    const char* what;
  };
  explicit PinnedMap(const Shape& shape) : shape_(shape) {}

  /// Looks at the pins, in the first of `roots` (bpffs mounts) that has one; opens a map that is new or was replaced,
  /// closes one that is gone. Cheap: one stat(2).
  void refresh(const std::vector<std::string>& roots, PinChanges& changes);

  /// Is there one, readable or not?
  [[nodiscard]] bool present() const { return !path_.empty(); }
  [[nodiscard]] bool readable() const { return map_.get() >= 0; }
  [[nodiscard]] int fd() const { return map_.get(); }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] const Shape& shape() const { return shape_; }

 private:
  Shape shape_;
  std::string path_;  ///< of the pin, empty if there is none
  dev_t device_ = 0;  ///< with `inode_`, which pin it was
  ino_t inode_ = 0;
  FileDescriptor map_;  ///< none while the pin is refused
};

}  // namespace hairpind
