/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map and every value set before load. Keys and values are described in abi.h. */
#pragma once

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#include "hairpind/abi.h"

/* Set by the agent before load. */
const volatile __u32 have_prefixes;			   /* frontend_prefixes is not empty */
const volatile __u64 handshake_timeout_ns = 3000000000ULL; /* settle time (S6) */
const volatile __u32 resets_by_drop;			   /* kfree_skb tells of resets, too */

/*
 * One a second and pair is enough to keep an alert's example fresh; the count does not
 * depend on it.
 */
#define EVENT_INTERVAL_NS 1000000000ULL

/*
 * A decided attempt is remembered for as long as a SYN retransmit may still come, else it would be
 * counted as a new one: the largest gap with tcp_syn_retries = 6 is 64 s (ip-sysctl.rst).
 */
#define RETRANSMIT_WINDOW_NS 130000000000ULL

/* max_entries of `attempts` and `attempt_index`, which only the kernel can read there. */
#define ATTEMPTS   65536
#define INDEX_SETS 16384
const volatile __u32 attempt_places = ATTEMPTS; /* agent */
const volatile __u32 index_sets = INDEX_SETS;	/* agent */
/* Random: a pod that chooses its ISNs must not know in which set it will find them. */
const volatile __u64 hash_seed; /* agent */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HP_INCIDENTS);
	__type(key, struct hp_incident_key);
	__type(value, struct hp_incident);
} incidents SEC(".maps");

__u32 incident_count; /* of entries; the agent takes off what it deletes */

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 8192);
	__type(key, struct hp_caller_key);
	__type(value, __u64);
} callers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HP_CAPTURES);
	__type(key, struct hp_caller_key);
	__type(value, __u32);
} captures SEC(".maps");

__u32 captures_armed; /* how many entries it has: the agent's, who sets it */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HP_LB_COUNTERS);
	__type(key, __u32);
	__type(value, struct hp_lb_counters);
} load_balancers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, HP_LB_COUNTERS);
	__type(key, struct hp_endpoint);
	__type(value, __u32);
} load_balancer_index SEC(".maps");

/* Given back by the agent: no attempt refers to them any more. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, HP_LB_COUNTERS);
	__type(value, __u32);
} free_rows SEC(".maps");

__u32 load_balancer_count; /* highest row ever in use */
__u32 unlisted_rows; /* in use by endpoints that nobody listed; the agent takes off what it gives
			back */

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hp_endpoint);
	__type(value, struct hp_frontend);
} frontends SEC(".maps");

__u64 frontend_filter[HP_ADDRESS_FILTER_BITS / 64]; /* see abi.h */

/* The agent can ask a conntrack table that this side cannot; it may come and go with its owner. */
__u32 ask_conntrack;

__u32 spoofing_device; /* the last that sent from another's address: the agent's to name */
__u8 seen_devices[HP_SEEN_DEVICES]; /* abi.h */
__u32
    beside_cilium; /* its maps are there: what its programs leave in a dropped packet is believed */

/* Others' programs may come after to_pod on a pod's device: what it sees is not yet what the pod
 * gets. */
__u32 answers_may_change;

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hp_prefix_key);
	__type(value, __u32);
} frontend_prefixes SEC(".maps");

/* Addresses of the node itself: with IPVS every Service's (kube-ipvs0). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hp_address);
	__type(value, __u32);
} node_addresses SEC(".maps");

/* Attached devices by ifindex. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct hp_device);
} devices SEC(".maps");

/* Pods' addresses (abi.h). */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct hp_address);
	__type(value, __u32);
} owners SEC(".maps");

/* Spares the question whose an address is for each SYN. Never the reason to believe one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, struct hp_address);
	__type(value, struct hp_source);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, HP_TOTAL_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} totals SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* agent */
} events SEC(".maps");

/*
 * Keys are copied to the stack: before 6.2 the verifier takes none from memory that a global
 * function was handed.
 */
static __always_inline bool is_node_address(const struct hp_address *address)
{
	struct hp_address key = *address;

	return bpf_map_lookup_elem(&node_addresses, &key);
}

static __always_inline struct hp_source *find_source(const struct hp_address *address)
{
	struct hp_address key = *address;

	return bpf_map_lookup_elem(&sources, &key);
}

static __always_inline void count(enum hp_total total)
{
	__u32 index = total;
	__u64 *value = bpf_map_lookup_elem(&totals, &index);

	if (value)
		*value += 1;
}

/* Read first: a line that each CPU writes is no CPU's own. */
static __always_inline void note_device(__u32 ifindex)
{
	__u8 *seen = &seen_devices[ifindex % HP_SEEN_DEVICES];

	if (!*seen)
		*seen = 1;
}
