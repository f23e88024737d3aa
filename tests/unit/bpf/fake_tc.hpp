// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <set>
#include <utility>

#include "hairpind/bpf/attachment_table.hpp"

namespace hairpind::testing {

/// A node's devices, as far as programs can be put on them.
struct FakeTc {
  using Place = std::pair<std::uint32_t, TcDirection>;

  std::map<Place, Hook> programs;      ///< what is on them now
  std::set<std::uint32_t> gone;        ///< devices that have vanished
  std::set<Place> refused;             ///< places that take none
  std::set<std::uint32_t> put_behind;  ///< devices on which somebody came before ours
  std::set<std::uint32_t> cleaned;     ///< of leftovers
  std::set<std::uint32_t> followed;    ///< devices on which somebody comes after ours
  std::set<std::uint32_t> preceded;    ///< devices on which somebody always comes before ours
  int attempts = 0;

  class Attachment final : public TcAttachment {
   public:
    Attachment(FakeTc& tc, Place place) : tc_(tc), place_(std::move(place)) {}
    ~Attachment() override { tc_.programs.erase(place_); }
    [[nodiscard]] Result<bool> first_in_line() const override { return !tc_.put_behind.contains(place_.first); }
    [[nodiscard]] bool may_be_followed(bool /*look_at_filters*/) override {
      return place_.second == TcDirection::kEgress && tc_.followed.contains(place_.first);
    }
    [[nodiscard]] bool is_preceded() const override {
      return place_.second == TcDirection::kIngress && tc_.preceded.contains(place_.first);
    }

   private:
    FakeTc& tc_;
    Place place_;
  };

  TcAttachResult attach(std::uint32_t ifindex, TcDirection direction, Hook hook) {
    attempts++;
    const Place place{ifindex, direction};
    if (gone.contains(ifindex)) {
      return std::unexpected(AttachedProgram::AttachError{.device_gone = true, .error = {"gone"}});
    }
    if (refused.contains(place)) {
      return std::unexpected(AttachedProgram::AttachError{.device_gone = false, .error = {"refused"}});
    }
    programs.emplace(place, hook);
    return std::make_unique<Attachment>(*this, place);
  }
  Result<void> remove_leftovers(std::uint32_t ifindex) {
    cleaned.insert(ifindex);
    return {};
  }
};

}  // namespace hairpind::testing
