// SPDX-License-Identifier: Apache-2.0
#include "alert_writer.hpp"

#include <spdlog/spdlog.h>

#include "hairpind/output/alert_json.hpp"

namespace hairpind {

void AlertWriter::write(const Alert& alert) {
  const std::uint64_t dropped = sink_.dropped();
  const auto result = sink_.write(to_json(alert));
  if (sink_.dropped() == dropped) {
    waiting_.push_back(alert.event);
  }
  note(result);
}

bool AlertWriter::retry() {
  note(sink_.retry());
  return sink_.blocked();
}

void AlertWriter::reopen() {
  const auto reopened = sink_.reopen();
  if (reopened) {
    spdlog::info("reopened the alert stream {}", path_);
    note(reopened);
  } else {
    spdlog::error("{}", reopened.error().message);
  }
}

void AlertWriter::note(const Result<void>& result) {
  while (waiting_.size() > sink_.queued()) {
    written_[waiting_.front()]++;
    waiting_.pop_front();
  }
  if (result) {
    if (writing_.ends()) {
      spdlog::info("the alert stream {} takes alerts again", path_);
    }
  } else if (writing_.begins()) {
    spdlog::error("{}; alerts are kept and tried again each second", result.error().message);
  }
}

}  // namespace hairpind
