// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/reset_sensor.hpp"

#include <string>

namespace hairpind {
namespace {

Feature needed_by(ResetSensor sensor) {
  switch (sensor) {
    case ResetSensor::kDrop:
      return Feature::kDropReasons;
    case ResetSensor::kKprobe:
      return Feature::kKprobes;
    case ResetSensor::kTracepoint:
    case ResetSensor::kNone:
      break;
  }
  return Feature::kResetTracepoint;
}

}  // namespace

std::string_view to_string(ResetSensor sensor) {
  switch (sensor) {
    case ResetSensor::kTracepoint:
      return "tracepoint";
    case ResetSensor::kDrop:
      return "drop";
    case ResetSensor::kKprobe:
      return "kprobe";
    case ResetSensor::kNone:
      break;
  }
  return "none";
}

Result<ResetSensor> choose_reset_sensor(std::string_view wanted, const KernelFeatures& features) {
  for (const ResetSensor sensor : kResetSensors) {
    const bool present = features.has(needed_by(sensor));
    if (wanted == to_string(sensor) && !present) {
      return fail("--reset-sensor " + std::string(wanted) +
                  ": this kernel does not have it ('hairpind check' shows what it has): leave --reset-sensor out");
    }
    if (present && (wanted == "auto" || wanted == to_string(sensor))) {
      return sensor;
    }
  }
  return ResetSensor::kNone;
}

}  // namespace hairpind
