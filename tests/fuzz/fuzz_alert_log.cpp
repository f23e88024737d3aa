// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "hairpind/explain/cluster_state.hpp"
#include "hairpind/explain/explain_json.hpp"
#include "hairpind/explain/html_page.hpp"
#include "hairpind/explain/log_reader.hpp"
#include "hairpind/explain/pcapng.hpp"
#include "hairpind/explain/text.hpp"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hairpind::AlertLog log;
  hairpind::LineSplitter lines(
      [&](std::string_view line, std::uint64_t number) { log.read_line(line, "fuzz", number); });
  lines.add({reinterpret_cast<const char*>(data), size});
  lines.finish();
  const auto state = hairpind::conclude(log, lines.lines(), hairpind::WallTime(std::chrono::days(20000)));
  hairpind::cluster_text(state, {.columns = 80, .colours = true});
  for (const auto& incident : state.incidents) {
    hairpind::incident_text(state, incident.alert.incident, {.columns = 80, .colours = true});
  }
  hairpind::explain_json(state, "");
  hairpind::html_page(state, "");
  hairpind::pcapng(state, "");
  return 0;
}
