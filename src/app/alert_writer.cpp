// SPDX-License-Identifier: Apache-2.0
#include "alert_writer.hpp"

#include <spdlog/spdlog.h>

#include "hairpind/output/alert_json.hpp"

namespace hairpind {

void AlertWriter::write(const Alert& alert) {
  note(sink_.write(alert.event, to_json(alert)));
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
  if (result) {
    if (writing_.ends()) {
      spdlog::info("the alert stream {} takes alerts again", path_);
    }
  } else if (writing_.begins()) {
    spdlog::error("{}; alerts are kept and tried again each second", result.error().message);
  }
}

}  // namespace hairpind
