// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The lab's own BPF datapaths, of the shapes that Cilium has. They balance load packet by packet, node
 * ports too, and may enforce a policy. What they do not know is left to the stack.
 *
 * BPF host routing: packets for a pod of this node go straight into its network namespace
 * (bpf_redirect_peer) and never pass the egress hook of its device nor the node's routing and netfilter.
 *
 * Endpoint routes: the stack delivers, and the program on the client's own device (rd_to_pod, egress)
 * enforces the policy and gives an answer the source that the client called.
 *
 * Masquerade: what leaves for the network gets the node's address and another port, at the uplink's
 * egress (rd_to_net); answers get their destination back where they come in.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stddef.h>

// They need linux/bpf.h.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "redirect_abi.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct rd_endpoint);
  __type(value, struct rd_pod);
} pods SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 64);
  __type(key, struct rd_service);
  __type(value, struct rd_endpoint);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct rd_connection_key);
  __type(value, struct rd_connection);
} connections SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct rd_masqueraded_key);
  __type(value, struct rd_endpoint);
} masqueraded SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct rd_settings);
} settings SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, RD_SIDE_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} packets SEC(".maps");

struct packet {
  struct rd_endpoint source;
  struct rd_endpoint destination;
  __u32 tcp_offset;
  bool ipv6;
  bool syn;
  bool ack;
};

/* A TCP packet without IP options, as the lab sends them. */
static __always_inline bool parse(struct __sk_buff* skb, struct packet* packet) {
  void* data = (void*)(long)skb->data;
  void* end = (void*)(long)skb->data_end;
  struct ethhdr* ethernet = data;
  struct tcphdr* tcp;

  __builtin_memset(packet, 0, sizeof(*packet));
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    struct iphdr* ip = (void*)(ethernet + 1);

    if ((void*)(ip + 1) > end || ip->ihl != 5 || ip->protocol != IPPROTO_TCP) return false;
    packet->source.address[2] = packet->destination.address[2] = bpf_htonl(0xffff);
    packet->source.address[3] = ip->saddr;
    packet->destination.address[3] = ip->daddr;
    tcp = (void*)(ip + 1);
  } else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr* ip6 = (void*)(ethernet + 1);

    if ((void*)(ip6 + 1) > end || ip6->nexthdr != IPPROTO_TCP) return false;
    packet->ipv6 = true;
    __builtin_memcpy(packet->source.address, &ip6->saddr, 16);
    __builtin_memcpy(packet->destination.address, &ip6->daddr, 16);
    tcp = (void*)(ip6 + 1);
  } else {
    return false;
  }
  if ((void*)(tcp + 1) > end) return false;
  packet->source.port = tcp->source;
  packet->destination.port = tcp->dest;
  packet->syn = tcp->syn;
  packet->ack = tcp->ack;
  packet->tcp_offset = (__u32)((void*)tcp - data);
  return true;
}

/* Writes one address and one port, and mends the checksums. */
static __always_inline void rewrite(struct __sk_buff* skb, const struct packet* packet, const struct rd_endpoint* old,
                                    const struct rd_endpoint* new, bool source) {
  __u32 checksum = packet->tcp_offset + offsetof(struct tcphdr, check);
  __u32 port = packet->tcp_offset + (source ? offsetof(struct tcphdr, source) : offsetof(struct tcphdr, dest));

  if (packet->ipv6) {
    __u32 address =
        sizeof(struct ethhdr) + (source ? offsetof(struct ipv6hdr, saddr) : offsetof(struct ipv6hdr, daddr));
    __s64 difference = bpf_csum_diff((__be32*)old->address, 16, (__be32*)new->address, 16, 0);

    bpf_l4_csum_replace(skb, checksum, 0, difference, BPF_F_PSEUDO_HDR);
    bpf_skb_store_bytes(skb, address, new->address, 16, 0);
  } else {
    __u32 address = sizeof(struct ethhdr) + (source ? offsetof(struct iphdr, saddr) : offsetof(struct iphdr, daddr));

    bpf_l4_csum_replace(skb, checksum, old->address[3], new->address[3], BPF_F_PSEUDO_HDR | 4);
    bpf_l3_csum_replace(skb, sizeof(struct ethhdr) + offsetof(struct iphdr, check), old->address[3], new->address[3],
                        4);
    bpf_skb_store_bytes(skb, address, &new->address[3], 4, 0);
  }
  bpf_l4_csum_replace(skb, checksum, old->port, new->port, 2);
  bpf_skb_store_bytes(skb, port, &new->port, 2, 0);
}

/* Drops with the record that Cilium leaves for its own monitor, and for whoever reads skb->cb. */
static __always_inline int drop(struct __sk_buff* skb, enum rd_drop why, __u32 destination_endpoint) {
  skb->cb[0] = RD_TARGET_IDENTITY;
  skb->cb[1] = RD_CLIENT_IDENTITY;
  skb->cb[2] = why;
  skb->cb[3] = destination_endpoint;
  skb->cb[4] = TC_ACT_SHOT | 1 << 8 | __LINE__ << 16;
  return TC_ACT_SHOT;
}

/* What this node knows of the connection that `answer` belongs to, if it is an answer. */
static __always_inline struct rd_connection* connection_of(const struct packet* answer) {
  struct rd_connection_key key = {.client = answer->destination, .server = answer->source};

  return bpf_map_lookup_elem(&connections, &key);
}

static __always_inline bool denies(const struct rd_settings* set, const struct packet* packet,
                                   const struct rd_connection* connection) {
  return set->drop_unmatched && packet->syn && packet->ack && (!connection || connection->side != RD_FROM_POD);
}

static __always_inline struct rd_pod* pod_at(const struct rd_endpoint* endpoint) {
  struct rd_endpoint address = *endpoint;

  address.port = 0;
  return bpf_map_lookup_elem(&pods, &address);
}

/* An answer for a client that left under the node's address. */
static __always_inline void unmasquerade(struct __sk_buff* skb, struct packet* packet) {
  struct rd_masqueraded_key key = {.endpoint = packet->destination, .hidden = 1};
  struct rd_endpoint* client = bpf_map_lookup_elem(&masqueraded, &key);

  if (!client) return;
  rewrite(skb, packet, &packet->destination, client, false);
  packet->destination = *client;
}

static __always_inline int forward(struct __sk_buff* skb, enum rd_side side) {
  struct rd_service service = {.side = side};
  struct rd_connection* answered;
  struct rd_endpoint *backend, server;
  struct rd_settings* set;
  struct rd_pod *pod, *sender;
  struct packet packet;
  bool known;
  __u32 zero = 0, index = side;
  __u64* seen = bpf_map_lookup_elem(&packets, &index);

  if (seen) __sync_fetch_and_add(seen, 1);
  set = bpf_map_lookup_elem(&settings, &zero);
  if (!set || !parse(skb, &packet)) return TC_ACT_OK;
  sender = pod_at(&packet.source);
  if (set->check_sources && side == RD_FROM_POD && (!sender || sender->ifindex != skb->ifindex))
    return drop(skb, RD_DROP_INVALID_SOURCE, 0);
  if (skb->ifindex == set->routed_device) return TC_ACT_OK;
  if (side == RD_FROM_NET) unmasquerade(skb, &packet);

  server = packet.destination;
  service.frontend = packet.destination;
  backend = bpf_map_lookup_elem(&services, &service);
  if (backend) server = *backend;
  pod = pod_at(&server);
  known = backend;
  barrier_var(known); /* the verifier wants no arithmetic on the two pointers */
  if (packet.syn && !packet.ack && (known || (pod && side == RD_FROM_POD))) {
    struct rd_connection connection = {.frontend = packet.destination, .side = side};
    struct rd_connection_key key = {.client = packet.source, .server = server};

    bpf_map_update_elem(&connections, &key, &connection, BPF_ANY);
  }
  if (backend) rewrite(skb, &packet, &packet.destination, &server, false);
  if (set->endpoint_routes || !pod) return TC_ACT_OK;

  answered = connection_of(&packet);
  if (side == RD_FROM_POD && denies(set, &packet, answered)) return drop(skb, RD_DROP_POLICY, RD_DESTINATION_ENDPOINT);
  if (answered && (side == RD_FROM_POD || answered->side == RD_FROM_POD))
    rewrite(skb, &packet, &packet.source, &answered->frontend, true);
  bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_dest), pod->mac, ETH_ALEN, 0);
  /* Into a pod's namespace only from where a packet is received. */
  if (set->netkit && side == RD_FROM_POD) return bpf_redirect(pod->ifindex, 0);
  return bpf_redirect_peer(pod->ifindex, 0);
}

SEC("tc")
int rd_from_pod(struct __sk_buff* skb) {
  return forward(skb, RD_FROM_POD);
}

SEC("tc")
int rd_from_net(struct __sk_buff* skb) {
  return forward(skb, RD_FROM_NET);
}

/* Endpoint routes: the last that an answer passes before the client has it. */
SEC("tc")
int rd_to_pod(struct __sk_buff* skb) {
  struct rd_connection* answered;
  struct rd_settings* set;
  struct packet packet;
  __u32 zero = 0;

  set = bpf_map_lookup_elem(&settings, &zero);
  if (!set || !parse(skb, &packet)) return TC_ACT_OK;
  answered = connection_of(&packet);
  if (denies(set, &packet, answered)) return drop(skb, RD_DROP_POLICY, RD_DESTINATION_ENDPOINT);
  if (answered) rewrite(skb, &packet, &packet.source, &answered->frontend, true);
  return TC_ACT_OK;
}

/* Masquerade: any local client's connection, the node's own too, whose port another may have. */
SEC("tc")
int rd_to_net(struct __sk_buff* skb) {
  struct rd_masqueraded_key key = {};
  struct rd_endpoint outside = {}, *known;
  struct rd_settings* set;
  struct packet packet;
  __u32 zero = 0;
  const __u32* node;

  set = bpf_map_lookup_elem(&settings, &zero);
  if (!set || !parse(skb, &packet)) return TC_ACT_OK;
  node = set->node[packet.ipv6 ? 1 : 0];
  key.endpoint = packet.source;
  known = bpf_map_lookup_elem(&masqueraded, &key);
  if (known) {
    outside = *known;
  } else if (packet.syn && !packet.ack) {
    __builtin_memcpy(outside.address, node, sizeof(outside.address));
    outside.port = packet.source.port ^ bpf_htons(1);
    if (!pod_at(&packet.source) && __builtin_memcmp(packet.source.address, node, sizeof(outside.address)))
      return TC_ACT_OK;
    bpf_map_update_elem(&masqueraded, &key, &outside, BPF_ANY);
    key.endpoint = outside;
    key.hidden = 1;
    bpf_map_update_elem(&masqueraded, &key, &packet.source, BPF_ANY);
  } else {
    return TC_ACT_OK;
  }
  rewrite(skb, &packet, &packet.source, &outside, true);
  return TC_ACT_OK;
}

/* Without endpoint routes the node's own packets for all pods leave through one device. */
SEC("tc")
int rd_from_host(struct __sk_buff* skb) {
  struct packet packet;
  struct rd_pod* pod;

  if (!parse(skb, &packet)) return TC_ACT_OK;
  pod = pod_at(&packet.destination);
  if (!pod) return TC_ACT_OK;
  bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_dest), pod->mac, ETH_ALEN, 0);
  return bpf_redirect(pod->ifindex, 0);
}
