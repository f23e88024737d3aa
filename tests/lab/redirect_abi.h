/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What redirect.bpf.c and redirect_datapath.cpp share: the maps of the lab's BPF datapath. */
#ifndef HAIRPIND_LAB_REDIRECT_ABI_H
#define HAIRPIND_LAB_REDIRECT_ABI_H

#include <linux/types.h>

/* IPv4 as ::ffff:a.b.c.d; address and port in network order. */
struct rd_endpoint {
  __u32 address[4];
  __u16 port;
  __u16 pad;
};

/* Map `pods`, by endpoint with port 0: where packets for a pod of this node go. */
struct rd_pod {
  __u32 ifindex; /* its host-side device */
  __u8 mac[6];
  __u8 pad[2];
};

/* Map `services`: destinations that the datapath translates, packet by packet, to `backend`. */
enum rd_side {
  RD_FROM_POD = 0,
  RD_FROM_NET = 1,
  RD_SIDE_COUNT = 2,
};
struct rd_service {
  struct rd_endpoint frontend;
  __u32 side; /* enum rd_side: whose packets */
};

/* Map `connections`, made by a SYN: how answers of `server` to `client` go back. */
struct rd_connection_key {
  struct rd_endpoint client;
  struct rd_endpoint server;
};
struct rd_connection {
  struct rd_endpoint frontend; /* what the client called: the answer's source */
  __u32 side;                  /* enum rd_side: RD_FROM_POD: the client's own policy knows of it */
};

/* Map `masqueraded`: a client under the node's address, and back. Made by a SYN that leaves. */
struct rd_masqueraded_key {
  struct rd_endpoint endpoint;
  __u32 hidden; /* 1: `endpoint` is what the network sees, the value the client; 0: the other way */
};

/* Map `settings`, one entry. */
struct rd_settings {
  __u32 drop_unmatched;  /* policy: a pod gets SYN-ACKs only for connections that it opened itself */
  __u32 routed_device;   /* ifindex whose packets are left to the stack and its policy routing; 0: none */
  __u32 endpoint_routes; /* 1: the stack delivers to pods, and their own programs translate answers back */
  __u32 check_sources;   /* 1: a pod's packets with another's address are dropped */
  __u32 netkit;          /* 1: pods' devices are netkit, and their programs run where the pod sends */
  __u32 node[2][4];      /* the node's addresses, IPv4 and IPv6: what rd_to_net masquerades as */
};

/* The lab's words for why it drops a packet, left in skb->cb as Cilium does: its numbers. */
enum rd_drop {
  RD_DROP_INVALID_SOURCE = 132,
  RD_DROP_POLICY = 133,
};
#define RD_CLIENT_IDENTITY 1001
#define RD_TARGET_IDENTITY 2002
#define RD_DESTINATION_ENDPOINT 303

/* Map `packets`, by enum rd_side: packets seen. */

#endif
