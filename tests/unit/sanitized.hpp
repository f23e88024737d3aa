// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace hairpind::testing {

/// This test is built with a sanitizer, which has a heap of its own and is slow by its own measure: what memory or
/// processor time is taken tells nothing.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace hairpind::testing
