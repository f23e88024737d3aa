/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a packet to the TCP segment of a handshake. Nothing else passes. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "hairpind/abi.h"
#include "isn_tags.h"
#include "kernel_types.h"
#include "maps.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

struct segment {
	struct hp_address source;
	struct hp_address destination;
	__u32 sequence;		/* host order */
	__u32 acknowledgment;	/* host order */
	__u16 source_port;	/* network order */
	__u16 destination_port; /* network order */
	__u16 payload_length;
	__u8 flags;
	bool ipv6;
};

/* The fixed part of a TCP header; linux/tcp.h's bit fields hide the flags byte. */
struct tcp_header {
	__be16 source_port;
	__be16 destination_port;
	__be32 sequence;
	__be32 acknowledgment;
	__u8 data_offset; /* in the upper 4 bits, in words */
	__u8 flags;
	__be16 window;
	__be16 checksum;
	__be16 urgent;
};

#define IP_OFFSET  0x1fff
#define IP6_OFFSET 0xfff8

static __always_inline bool is_syn(const struct segment *segment)
{
	return (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == TCP_SYN;
}

static __always_inline bool is_synack(const struct segment *segment)
{
	return (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) == (TCP_SYN | TCP_ACK);
}

static __always_inline void set_v4(struct hp_address *address, __be32 v4)
{
	address->word[0] = 0;
	address->word[1] = 0;
	address->word[2] = bpf_htonl(0xffff);
	address->word[3] = v4;
}

static __always_inline void set_v6(struct hp_address *address, const struct in6_addr *v6)
{
	address->word[0] = v6->in6_u.u6_addr32[0];
	address->word[1] = v6->in6_u.u6_addr32[1];
	address->word[2] = v6->in6_u.u6_addr32[2];
	address->word[3] = v6->in6_u.u6_addr32[3];
}

/*
 * An IPv6 packet from or to an IPv4-mapped address would have the key of an IPv4 address, of which
 * its routes know nothing. There is none on a wire (RFC 4291, 2.5.5.2), and the kernel takes none
 * in: counted where the hooks see it.
 */
static __always_inline bool is_mapped(const struct hp_address *address)
{
	return !address->word[0] && !address->word[1] && address->word[2] == bpf_htonl(0xffff);
}

static __always_inline bool set_ipv6_addresses(struct __sk_buff *skb, struct segment *segment,
					       const struct ipv6hdr *ip6)
{
	set_v6(&segment->source, &ip6->saddr);
	set_v6(&segment->destination, &ip6->daddr);
	segment->ipv6 = true;
	if (!is_mapped(&segment->source) && !is_mapped(&segment->destination))
		return true;
	if (skb)
		count(HP_TOTAL_SPOOFED_SOURCES);
	return false;
}

/* `length` is that of the TCP header and payload, from the IP header: padding of a frame is not
 * payload. */
static __always_inline void set_tcp(struct segment *segment, const struct tcp_header *tcp,
				    __u32 length)
{
	__u32 header = (tcp->data_offset >> 4) * 4;

	segment->sequence = bpf_ntohl(tcp->sequence);
	segment->acknowledgment = bpf_ntohl(tcp->acknowledgment);
	segment->source_port = tcp->source_port;
	segment->destination_port = tcp->destination_port;
	segment->flags = tcp->flags;
	segment->payload_length = length > header ? length - header : 0;
}

/* Of an IP header without options. */
static __always_inline void set_ipv4_segment(struct segment *segment, const struct iphdr *ip,
					     const struct tcp_header *tcp)
{
	set_v4(&segment->source, ip->saddr);
	set_v4(&segment->destination, ip->daddr);
	segment->ipv6 = false;
	set_tcp(segment, tcp, bpf_ntohs(ip->tot_len) - sizeof(*ip));
}

/* Hop-by-hop, destination options, routing, fragment: more than four in a SYN is not a client's. */
#define MAX_EXTENSION_HEADERS 4

struct extension_header {
	__u8 next;
	__u8 length; /* in 8 octets, not counting the first (RFC 8200, 4.2) */
	__be16 fragment_offset;
};

static __always_inline bool is_extension_header(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_FRAGMENT ||
	       next == IPPROTO_DSTOPTS;
}

static __always_inline __u32 extension_length(__u8 kind, const struct extension_header *extension)
{
	return kind == IPPROTO_FRAGMENT ? 8 : (extension->length + 1) * 8;
}

/*
 * Header bytes of a packet at a TC hook (`skb`, at an offset from its start), or of one a
 * tracepoint saw (at an offset from `network`, a kernel address: the stack has had its headers made
 * linear). One of the two is NULL at compile time. Both copy: unlike bpf_skb_pull_data they never
 * touch the packet. bpf_skb_load_bytes reads fragments too, bpf_skb_load_bytes_relative does not.
 */
static __always_inline long read_header(struct __sk_buff *skb, const unsigned char *network,
					__u32 offset, void *to, __u32 size)
{
	if (skb)
		return bpf_skb_load_bytes(skb, offset, to, size);
	return bpf_probe_read_kernel(to, size, network + offset);
}

/* Beside SYN and RST, a caller may ask for what may be the ACK that ends a handshake. */
static __always_inline bool is_wanted(const struct tcp_header *tcp, bool client_acks)
{
	if (tcp->flags & (TCP_SYN | TCP_RST))
		return true;
	return client_acks && may_follow_syn(bpf_ntohl(tcp->sequence));
}

static __always_inline bool parse_tcp(struct __sk_buff *skb, const unsigned char *network,
				      __u32 offset, __u32 length, struct segment *segment,
				      bool client_acks)
{
	struct tcp_header tcp;

	if (read_header(skb, network, offset, &tcp, sizeof(tcp)) || !is_wanted(&tcp, client_acks))
		return false;
	set_tcp(segment, &tcp, length);
	return true;
}

static __always_inline bool parse_ipv4(struct __sk_buff *skb, const unsigned char *network,
				       __u32 offset, struct segment *segment, bool client_acks)
{
	struct iphdr ip;
	__u32 header;

	if (read_header(skb, network, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5 ||
	    ip.protocol != IPPROTO_TCP || (ip.frag_off & bpf_htons(IP_OFFSET)))
		return false;
	header = ip.ihl * 4;
	set_v4(&segment->source, ip.saddr);
	set_v4(&segment->destination, ip.daddr);
	segment->ipv6 = false;
	return parse_tcp(skb, network, offset + header, bpf_ntohs(ip.tot_len) - header, segment,
			 client_acks);
}

static __always_inline bool parse_ipv6(struct __sk_buff *skb, const unsigned char *network,
				       __u32 offset, struct segment *segment, bool client_acks)
{
	struct ipv6hdr ip6;
	__u32 end;
	__u8 next;

	if (read_header(skb, network, offset, &ip6, sizeof(ip6)) || ip6.version != 6)
		return false;
	offset += sizeof(ip6);
	end = offset + bpf_ntohs(ip6.payload_len);
	next = ip6.nexthdr;
	for (int i = 0; i < MAX_EXTENSION_HEADERS && is_extension_header(next); i++) {
		struct extension_header extension;

		if (read_header(skb, network, offset, &extension, sizeof(extension)))
			return false;
		if (next == IPPROTO_FRAGMENT && (extension.fragment_offset & bpf_htons(IP6_OFFSET)))
			return false;
		offset += extension_length(next, &extension);
		next = extension.next;
	}
	if (next != IPPROTO_TCP)
		return false;
	return parse_tcp(skb, network, offset, end - offset, segment, client_acks) &&
	       set_ipv6_addresses(skb, segment, &ip6);
}

static __always_inline bool is_vlan(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/*
 * Where the network header is, and whose. A device may be without an Ethernet header, and a VLAN
 * tag inside the packet (the stack keeps tags beside it, but for a second one). skb->protocol is
 * that of the network header, or of the tag. A packet that does not say the same where an Ethernet
 * header would has none.
 */
static __noinline __u32 find_network(struct __sk_buff *skb, __be16 *protocol)
{
	__be16 ethertype;
	__u32 offset = 0;

	*protocol = skb->protocol;
	if (!read_header(skb, NULL, offsetof(struct ethhdr, h_proto), &ethertype,
			 sizeof(ethertype)) &&
	    ethertype == *protocol)
		offset = sizeof(struct ethhdr);
	if (is_vlan(*protocol)) {
		struct {
			__be16 tag;
			__be16 protocol;
		} vlan;

		/* Zero, which is nobody's, if it cannot be read. */
		read_header(skb, NULL, offset, &vlan, sizeof(vlan));
		*protocol = vlan.protocol;
		offset += sizeof(vlan);
	}
	return offset;
}

/* What the fast path cannot take: IP options, extension headers, headers that are not in the linear
 * part, or not right behind an Ethernet header. */
static __noinline bool parse_slowly(struct __sk_buff *skb, struct segment *segment,
				    bool client_acks)
{
	__be16 protocol;
	__u32 offset = find_network(skb, &protocol);

	if (protocol == bpf_htons(ETH_P_IP))
		return parse_ipv4(skb, NULL, offset, segment, client_acks);
	return protocol == bpf_htons(ETH_P_IPV6) &&
	       parse_ipv6(skb, NULL, offset, segment, client_acks);
}

/*
 * True if the packet is a TCP segment with SYN or RST, or with `client_acks` one that may end a
 * pending handshake; then `segment` is filled. This runs for each packet of the node: a data
 * segment leaves after a handful of loads.
 */
static __always_inline bool parse_handshake(struct __sk_buff *skb, struct segment *segment,
					    bool client_acks)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = data + sizeof(*ethernet);
		struct tcp_header *tcp = (void *)(ip + 1);

		if ((void *)(ip + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP))
			return parse_slowly(skb, segment, client_acks);
		if (ip->protocol != IPPROTO_TCP)
			return false;
		if ((void *)(tcp + 1) > end || *(__u8 *)ip != 0x45)
			return parse_slowly(skb, segment, client_acks);
		if (!is_wanted(tcp, client_acks) || (ip->frag_off & bpf_htons(IP_OFFSET)))
			return false;
		set_ipv4_segment(segment, ip, tcp);
		return true;
	}
	if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6 = data + sizeof(*ethernet);
		struct tcp_header *tcp = (void *)(ip6 + 1);

		if ((void *)(ip6 + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IPV6) ||
		    is_extension_header(ip6->nexthdr))
			return parse_slowly(skb, segment, client_acks);
		if (ip6->nexthdr != IPPROTO_TCP)
			return false;
		if ((void *)(tcp + 1) > end)
			return parse_slowly(skb, segment, client_acks);
		if (!is_wanted(tcp, client_acks))
			return false;
		set_tcp(segment, tcp, bpf_ntohs(ip6->payload_len));
		return set_ipv6_addresses(skb, segment, ip6);
	}
	return is_vlan(skb->protocol) && parse_slowly(skb, segment, client_acks);
}

/*
 * The same for a packet seen from a tracepoint or a probe, at whatever layer it was: `network` is
 * the kernel address of its network header. Nearly all are IPv4 without options, for which one copy
 * does; the rest is read header by header.
 */
static __noinline bool parse_kernel_headers(const unsigned char *network, __be16 protocol,
					    struct segment *segment)
{
	if (protocol == bpf_htons(ETH_P_IP)) {
		struct {
			struct iphdr ip;
			struct tcp_header tcp;
		} headers;

		if (bpf_probe_read_kernel(&headers, sizeof(headers), network) ||
		    *(__u8 *)&headers != 0x45)
			return parse_ipv4(NULL, network, 0, segment, false);
		if (headers.ip.protocol != IPPROTO_TCP ||
		    (headers.ip.frag_off & bpf_htons(IP_OFFSET)) || !is_wanted(&headers.tcp, false))
			return false;
		set_ipv4_segment(segment, &headers.ip, &headers.tcp);
		return true;
	}
	if (protocol == bpf_htons(ETH_P_IPV6))
		return parse_ipv6(NULL, network, 0, segment, false);
	return false;
}

/* Of a packet that a typed tracepoint was given, which may be read as it is. */
static __always_inline bool parse_sk_buff(struct sk_buff *skb, struct segment *segment)
{
	return parse_kernel_headers(skb->head + skb->network_header, skb->protocol, segment);
}
