/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel types that the tracepoints and the conntrack lookup touch, with only the fields
 * they read: CO-RE relocates them at load time, so no generated vmlinux.h is committed.
 */
#pragma once

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sock;

struct net_device {
	int ifindex;
};

struct dst_entry {
	struct net_device *dev;
};

struct sk_buff {
	struct net_device *dev;
	unsigned char *head;
	unsigned long _skb_refdst;
	__u16 network_header;
	__be16 protocol;
	char cb[48];
};

struct qdisc_skb_cb {
	unsigned char data[20];
};

union nf_inet_addr {
	__u32 all[4];
};

struct nf_conntrack_man {
	union nf_inet_addr u3;
	union {
		__be16 all;
	} u;
};

struct nf_conntrack_tuple {
	struct nf_conntrack_man src;
};

struct nf_conntrack_tuple_hash {
	struct nf_conntrack_tuple tuple;
};

struct nf_conn {
	struct nf_conntrack_tuple_hash tuplehash[2];
};

#pragma clang attribute pop

/* Numbered differently in each kernel: the values here are placeholders for those of its BTF. */
enum skb_drop_reason {
	SKB_DROP_REASON_NOT_SPECIFIED = 2,
	SKB_DROP_REASON_NO_SOCKET = 3,
	SKB_DROP_REASON_OTHERHOST = 13,
	SKB_DROP_REASON_IP_RPFILTER = 16,
	SKB_DROP_REASON_IP_LOCAL_SOURCE = 17,
	SKB_DROP_REASON_TC_EGRESS = 45,
	SKB_DROP_REASON_TC_INGRESS = 46,
};

#define IS_DROP_REASON(reason, name)                                                               \
	(bpf_core_enum_value_exists(enum skb_drop_reason, SKB_DROP_REASON_##name) &&               \
	 (reason) == bpf_core_enum_value(enum skb_drop_reason, SKB_DROP_REASON_##name))

/*
 * The first 12 bytes of the kernel's struct bpf_ct_opts, a size that every kernel with the kfunc
 * accepts (6.10 grew it to 16 for zones).
 */
struct bpf_ct_opts___v1 {
	__s32 netns_id;
	__s32 error;
	__u8 l4proto;
	__u8 dir;
	__u8 reserved[2];
};
