/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * S0: SYNs to no known load balancer, for as long as somebody may still send them back.
 * Direct-mapped by ISN, and the newest stays: a load balancer has to be found only once, by any of
 * its SYNs.
 *
 * Each device may note so many in a moment, and a flood finds no more places than that. What it
 * sends beyond is not looked at, and counted.
 *
 * Written and read on any CPU without a lock: `check` tells what was written whole.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#include "accounts.h"
#include "attempt_table.h"
#include "maps.h"
#include "parse.h"

/* As it was written at first. */
#define CHECKED_WORDS 14

union noted_syn {
	struct {
		struct hp_address client;
		struct hp_address destination;
		__u32 isn;
		__u32 time; /* note_time() */
		__u32 ifindex;
		__u32 ports;	  /* client's and destination's, as in struct segment */
		__u32 sender[2];  /* MAC address that it was sent from; all zero if there is none */
		__u32 translated; /* since then: by this node, to another destination */
		__u32 check;
	};
	__u32 words[CHECKED_WORDS];
};

_Static_assert(sizeof(union noted_syn) == 64, "a cache line");

#define NOTES 4096

/* BPF_F_MMAPABLE for its side effect: values begin on a page, so that a note is one cache line. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, NOTES);
	__type(key, __u32);
	__type(value, union noted_syn);
} noted_syns SEC(".maps");

static __always_inline __u32 ports_of(const struct segment *syn)
{
	return syn->source_port | (__u32)syn->destination_port << 16;
}

static __always_inline bool is_noted_destination(const union noted_syn *note,
						 const struct segment *syn)
{
	return note->ports >> 16 == syn->destination_port &&
	       same_address(&note->destination, &syn->destination);
}

/*
 * In 1.024 us, of which 32 bits last for 73 minutes; of the last tick, since to read the clock
 * itself would cost as much as all the rest (the helper came with 5.11).
 */
#define NOTE_TIME_SHIFT 10

static __always_inline __u32 note_time(void)
{
	return bpf_ktime_get_coarse_ns() >> NOTE_TIME_SHIFT;
}

static __always_inline __u64 note_age_ns(const union noted_syn *note)
{
	return (__u64)(note_time() - note->time) << NOTE_TIME_SHIFT;
}

static __always_inline union noted_syn *note_of(__u32 isn)
{
	__u32 place = isn % NOTES;

	return bpf_map_lookup_elem(&noted_syns, &place);
}

/* A note of zeros is none. */
#define EMPTY_CHECK 0x9e3779b9U

/* A copy of what was noted under this ISN, if it is whole. */
static __always_inline bool read_note(__u32 isn, union noted_syn *copy)
{
	const union noted_syn *note = note_of(isn);
	__u32 check = EMPTY_CHECK;

	if (!note || note->isn != isn)
		return false;
	*copy = *note;
	/* Or the compiler looks at the other again. */
	asm volatile("" ::: "memory");
	SMALL_CODE
	for (int i = 0; i < CHECKED_WORDS; i++)
		check ^= copy->words[i];
	return copy->isn == isn && copy->check == check;
}

/* May this device note one more? Without a lock: one too many does no harm. */
static __always_inline bool may_note(__u32 ifindex, __u32 time)
{
	__u32 flags = account_of_device(ifindex), moment = time / HP_NOTES_MOMENT;
	struct hp_account *account;

	/* The compiler knows the index's range, and the verifier would not. */
	asm volatile("" : "+r"(flags));
	account = account_of(flags);
	if (account->notes_moment != moment) {
		account->notes_moment = moment;
		account->notes = 0;
	}
	if (account->notes >= HP_NOTES_A_DEVICE)
		return false;
	account->notes++;
	return true;
}

/* From registers, since a copy on the stack would cost as much again. */
#define NOTE(field, value)                                                                         \
	do {                                                                                       \
		__u32 word = (value);                                                              \
		note->field = word;                                                                \
		check ^= word;                                                                     \
	} while (0)

/* Written without a look at what is there, which the caches mostly have not. */
__noinline int note_syn(struct __sk_buff *skb, const struct segment *syn)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	const __u16 *mac = data + offsetof(struct ethhdr, h_source);
	__u32 check = EMPTY_CHECK, low = 0, high = 0, ifindex, time;
	union noted_syn *note;

	if (!syn)
		return 0;
	note = note_of(syn->sequence);
	if (!note)
		return 0;
	/* Read once: the verifier takes no field by a pointer to another. */
	ifindex = skb->ifindex;
	asm volatile("" : "+r"(ifindex));
	time = note_time();
	if (!may_note(ifindex, time)) {
		count(HP_TOTAL_SYNS_UNNOTED);
		return 0;
	}
	for (int i = 0; i < 4; i++) {
		NOTE(client.word[i], syn->source.word[i]);
		NOTE(destination.word[i], syn->destination.word[i]);
	}
	NOTE(isn, syn->sequence);
	NOTE(time, time);
	NOTE(ifindex, ifindex);
	NOTE(ports, ports_of(syn));
	if ((void *)(mac + ETH_ALEN / 2) <= end) {
		low = mac[0] | (__u32)mac[1] << 16;
		high = mac[2];
	}
	NOTE(sender[0], low);
	NOTE(sender[1], high);
	note->translated = 0;
	note->check = check;
	return 0;
}

#undef NOTE
