/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The veto (S5): did this node itself translate the client's connection to the load balancer into
 * the responder? The entry of the SYN-ACK's own tuple proves nothing: a hairpinned SYN makes one
 * itself.
 */
#pragma once

#include <bpf/bpf_core_read.h>

#include "maps.h"
#include "parse.h"

#define IP_CT_DIR_REPLY 1

#ifdef HP_WITHOUT_CONNTRACK_KFUNC

/*
 * The agent asks. An object of its own: libbpf looks a name that the kernel's own BTF lacks up in
 * those of modules, even if nothing calls it, and fails where it may not list them (CAP_SYS_ADMIN).
 */
static __always_inline enum hp_conntrack conntrack_verdict(struct __sk_buff *skb,
							   const struct hp_attempt *attempt,
							   const struct segment *synack)
{
	return HP_CONNTRACK_UNCHECKED;
}

#else

/*
 * Since 5.18; in a module's BTF where nf_conntrack is a module. Not tested by address: of a
 * module's function libbpf 1.1 looks for it in the kernel's own BTF.
 */
extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple,
					 __u32 tuple_size, struct bpf_ct_opts___v1 *opts,
					 __u32 opts_size) __ksym;
extern void bpf_ct_release(struct nf_conn *connection) __ksym;

/* `responder` is what the SYN-ACK in hand, which goes to the client itself, claims as its source.
 */
static __noinline enum hp_conntrack conntrack_verdict(struct __sk_buff *skb,
						      const struct hp_attempt *attempt,
						      const struct segment *synack)
{
	struct bpf_ct_opts___v1 opts = {.netns_id = BPF_F_CURRENT_NETNS, .l4proto = IPPROTO_TCP};
	struct bpf_sock_tuple tuple = {};
	const struct nf_conntrack_man *reply;
	enum hp_conntrack verdict;
	struct nf_conn *connection;
	__u32 size;

	if (synack->ipv6) {
		__builtin_memcpy(tuple.ipv6.saddr, attempt->key.client.word,
				 sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, attempt->lb.address.word,
				 sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = attempt->key.port;
		tuple.ipv6.dport = attempt->lb.port;
		size = sizeof(tuple.ipv6);
	} else {
		tuple.ipv4.saddr = attempt->key.client.word[3];
		tuple.ipv4.daddr = attempt->lb.address.word[3];
		tuple.ipv4.sport = attempt->key.port;
		tuple.ipv4.dport = attempt->lb.port;
		size = sizeof(tuple.ipv4);
	}
	connection = bpf_skb_ct_lookup(skb, &tuple, size, &opts, sizeof(opts));
	if (!connection)
		return opts.error == -ENOENT ? HP_CONNTRACK_NO_ENTRY : HP_CONNTRACK_UNCHECKED;
	reply = &connection->tuplehash[IP_CT_DIR_REPLY].tuple.src;
	verdict = HP_CONNTRACK_NOT_TRANSLATED;
	if (reply->u.all == synack->source_port) {
		if (synack->ipv6) {
			if (reply->u3.all[0] == synack->source.word[0] &&
			    reply->u3.all[1] == synack->source.word[1] &&
			    reply->u3.all[2] == synack->source.word[2] &&
			    reply->u3.all[3] == synack->source.word[3])
				verdict = HP_CONNTRACK_TRANSLATED;
		} else if (reply->u3.all[0] == synack->source.word[3]) {
			verdict = HP_CONNTRACK_TRANSLATED;
		}
	}
	bpf_ct_release(connection);
	return verdict;
}

#endif
