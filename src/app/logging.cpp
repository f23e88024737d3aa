// SPDX-License-Identifier: Apache-2.0
#include "logging.hpp"

#include <spdlog/fmt/chrono.h>
#include <spdlog/formatter.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "hairpind/bpf/programs.hpp"

namespace hairpind {
namespace {

// spdlog's patterns do not escape the message, so that a quote in it would break the line.
class JsonFormatter : public spdlog::formatter {
 public:
  explicit JsonFormatter(std::string node) : node_(std::move(node)) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const auto level = spdlog::level::to_string_view(message.level);
    const auto seconds = std::chrono::floor<std::chrono::seconds>(message.time);
    const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(message.time - seconds).count();
    const nlohmann::ordered_json line{
        {"time", fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(seconds), milliseconds)},
        {"severity", std::string(level.data(), level.size())},
        {"message", std::string(message.payload.data(), message.payload.size())},
        {"node", node_}};
    const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
    out.append(text.data(), text.data() + text.size());
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>(node_);
  }

 private:
  std::string node_;
};

// libbpf warns of each thing it tries and does without; the failure itself comes back as an error.
void log_libbpf(bool warning, std::string_view line) {
  spdlog::log(warning ? spdlog::level::warn : spdlog::level::debug, "{}", line);
}

}  // namespace

void configure_logging(const std::string& level, const std::string& format, const std::string& node) {
  auto logger = std::make_shared<spdlog::logger>("hairpind", std::make_shared<spdlog::sinks::stderr_sink_mt>());
  if (format == "json") {
    logger->set_formatter(std::make_unique<JsonFormatter>(node));
  } else {
    logger->set_formatter(
        std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%eZ %l %v", spdlog::pattern_time_type::utc));
  }
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::debug);
  spdlog::set_default_logger(std::move(logger));
  set_libbpf_log(log_libbpf);
}

}  // namespace hairpind
