// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * In front of a program under measurement: gives the packet a new sequence number, so that a repeated
 * BPF_PROG_TEST_RUN sees a new attempt each time, with caches as warm as on a busy node.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__u32 next_sequence;

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} measured SEC(".maps");

SEC("tc")
int new_syn(struct __sk_buff* skb) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  /* Source and destination port come first. */
  __be32* sequence = data + sizeof(struct ethhdr) + sizeof(struct iphdr) + 4;

  if ((void*)(sequence + 1) > end) return 0;
  *sequence = bpf_htonl(next_sequence++);
  bpf_tail_call(skb, &measured, 0);
  /* Reached only if there is no program to call, which the benchmark tells by this value. */
  return 0;
}
