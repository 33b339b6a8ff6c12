// SPDX-License-Identifier: Apache-2.0
// Tells AddressSanitizer which parts of a pool or an arena nobody may touch; nothing in other builds.
// tidy: prefix unpoison
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define POISON_ACTIVE 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define POISON_ACTIVE 1
#endif
#endif

#ifdef POISON_ACTIVE
#include <sanitizer/asan_interface.h>
#define poison(ptr, size)   __asan_poison_memory_region(ptr, size)
#define unpoison(ptr, size) __asan_unpoison_memory_region(ptr, size)
#else
#define poison(ptr, size)   ((void)(ptr), (void)(size))
#define unpoison(ptr, size) ((void)(ptr), (void)(size))
#endif
