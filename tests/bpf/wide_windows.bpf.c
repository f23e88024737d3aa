// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs as they are, with long windows between their steps, in nanoseconds: for reuse_stress_test. */
#define HP_WIDE_WINDOWS 300000
#define HP_WITHOUT_CONNTRACK_KFUNC
#include "../../bpf/handshake.bpf.c"
