/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The boundary between the BPF programs and the agent: every map key, map value and ring-buffer
 * record. C, included by both sides; the layout is asserted on both sides at the end of the file.
 *
 * Conventions
 *  - Addresses are 16 bytes in network order; IPv4 is stored IPv4-mapped (::ffff:a.b.c.d, RFC 4291
 *    section 2.5.5.2), so that one code path serves both families.
 *  - Ports named `port` are in network order, as on the wire. Sequence numbers are in host order.
 *  - Times are CLOCK_MONOTONIC nanoseconds (bpf_ktime_get_ns).
 *  - No packed structs; padding is explicit and always zero, because the kernel hashes keys whole.
 *  - Enumerators are append only: the values are exported as metric labels and alert fields.
 */
#ifndef HAIRPIND_ABI_H
#define HAIRPIND_ABI_H

#include <linux/types.h>

#ifdef __cplusplus
#define HP_STATIC_ASSERT(condition) static_assert(condition)
extern "C" {
#else
#define HP_STATIC_ASSERT(condition) _Static_assert(condition, #condition)
#endif

struct hp_address {
  __u32 word[4]; /* network order */
};

struct hp_endpoint {
  struct hp_address address;
  __u16 port; /* network order */
  __u16 pad;
};

/* One connection attempt: what the SYN-ACK's own fields (destination, ack - 1) can find. */
struct hp_attempt_key {
  struct hp_address client;
  __u32 isn;  /* host order */
  __u16 port; /* client port, network order */
  __u16 pad;
};

/* What has been seen of an attempt (hp_attempt.flags). */
enum hp_attempt_flag {
  HP_ALIAS = 1U << 0,            /* not an attempt: another name (`origin`) under which one is known */
  HP_HOST_CLIENT = 1U << 1,      /* the client is the node itself: first seen leaving on the uplink */
  HP_RETURNED = 1U << 2,         /* S2: the SYN came back in on the uplink for another destination */
  HP_SYNACK_LEFT = 1U << 3,      /* S3: a SYN-ACK from another source than the LB left a local pod */
  HP_SYNACK_DELIVERED = 1U << 4, /* S3: such a SYN-ACK reached the client's device or stack */
  HP_TRANSLATED = 1U << 5,       /* S5: this node itself translated LB -> responder: legitimate */
  HP_UNANSWERED = 1U << 6,       /* counted: nothing came within the settle time */
  HP_MISMATCHED = 1U << 7,       /* counted: misdirected */
  HP_EMITTED = 1U << 8,          /* an event for it went into the ring: its outcome is wanted too */
  HP_SNATED = 1U << 9,           /* left the node under an address of the node (has an alias) */
  HP_FORWARDED = 1U << 10,       /* the returned SYN left again, for a target on another node */
  HP_UNSOLICITED = 1U << 11,     /* no client's attempt: a SYN in its name, with an ISN that it never sent, came in */
  HP_ANSWER_ARRIVED = 1U << 12,  /* the LB's own SYN-ACK came in on the uplink, on its way to a pod */
  HP_CONNTRACK_ASKED = 1U << 13, /* the agent has been asked what the kernel side could not find out (S5) */
  HP_SYNACK_ARRIVED = 1U << 14,  /* another source's did: `synack_sent` says whose */
  HP_SYNACK_PASSED = 1U << 15,   /* one on its way to the client passed `to_pod`, and others may still change it:
                                    `synack_delivered` says whose, unless HP_SYNACK_DELIVERED does */
  HP_UNVERIFIED = 1U << 17,      /* nothing says whose the client's address is: its device's own word does not do */
  HP_ANSWERED = 1U << 16,        /* counted: the LB's answer was on its way to the pod, which has not acknowledged it */
  HP_ANSWER_UNVERIFIED = 1U << 18, /* nor is a wrong answer's, as it left a local pod, or it is another's */
  HP_TARGET_HERE = 1U << 19,       /* `returned` is the address of a pod of this node */
  HP_TAGGED = 1U << 20,            /* its ISN has a place among those whose ACK is looked for (bpf/isn_tags.h) */
};

/*
 * What each device's clients take of the tables that all share (bpf/accounts.h). An attempt carries the number of
 * the account it is charged to above its flags. 0 is the network's: SYNs that no client here has sent.
 */
#define HP_ACCOUNT_SHIFT 21
#define HP_ACCOUNTS 2048

struct hp_account {
  __u64 attempts;  /* undecided ones in the low half, those with HP_TAGGED in the high one */
  __u32 incidents; /* in `incidents` */
  __u32 rows;      /* in `load_balancers`, of endpoints that nobody listed */
  __u32 notes;     /* SYNs noted in this moment (bpf/noted_syns.h) */
  __u32 notes_moment;
};

/* How many SYNs to no known load balancer a device may note in a moment of 67 ms, in 1.024 us. */
#define HP_NOTES_A_DEVICE 64
#define HP_NOTES_MOMENT 65536

/* The verdict on a misdirected attempt. Order and spelling are the `cause` label (core/event). */
enum hp_cause {
  HP_CAUSE_NONE = 0,
  HP_CAUSE_HAIRPIN_IP_TARGET = 1,
  HP_CAUSE_HAIRPIN_NODE_PORT = 2,
  HP_CAUSE_HAIRPIN_HOST_TARGET = 3,
  HP_CAUSE_HAIRPIN_MARTIAN = 4,
  HP_CAUSE_HAIRPIN_RP_FILTER = 5,
  HP_CAUSE_ASYMMETRIC_REMOTE = 6,
  HP_CAUSE_UNSOLICITED_SYNACK = 7,
  HP_CAUSE_COUNT = 8,
};

/* What became of a misdirected attempt (S4). */
enum hp_outcome {
  HP_OUTCOME_UNKNOWN = 0,
  HP_OUTCOME_RESET_BY_CLIENT = 1,
  HP_OUTCOME_DROPPED = 2,
  HP_OUTCOME_COMPLETED = 3,
  HP_OUTCOME_COUNT = 4,
};

/* S5: what connection tracking says of client -> LB. UNCHECKED is not NO_ENTRY. */
enum hp_conntrack {
  HP_CONNTRACK_UNCHECKED = 0,
  HP_CONNTRACK_NO_ENTRY = 1,
  HP_CONNTRACK_NOT_TRANSLATED = 2,
  HP_CONNTRACK_TRANSLATED = 3,
  HP_CONNTRACK_COUNT = 4,
};

enum hp_conntrack_source {
  HP_CONNTRACK_SOURCE_NONE = 0,
  HP_CONNTRACK_SOURCE_KERNEL = 1,
  HP_CONNTRACK_SOURCE_NETLINK = 2,
  HP_CONNTRACK_SOURCE_CILIUM = 3,
  HP_CONNTRACK_SOURCE_COUNT = 4,
};

/* Where the responder is, as far as this node can tell. */
enum hp_responder_kind {
  HP_RESPONDER_NONE = 0, /* nothing answered */
  HP_RESPONDER_LOCAL_POD = 1,
  HP_RESPONDER_NODE = 2,
  HP_RESPONDER_REMOTE = 3,
  HP_RESPONDER_COUNT = 4,
};

/* hp_attempt.learned: whether somebody has named the load balancer (S0). */
enum hp_learned {
  HP_NAMED = 0,
  HP_LEARNED = 1,       /* nobody; that its SYN came back, once, is the only evidence */
  HP_LEARNED_AGAIN = 2, /* and came back again, when it was sent again */
};

/* What Cilium's programs leave in a packet that they drop: its own numbers. */
struct hp_cilium_drop {
  __u32 source_identity;
  __u32 destination_identity;
  __u32 endpoint; /* id of the local endpoint that it was on its way into; 0: none */
  __u32 reason;   /* cilium, bpf/lib/drop_reasons.h; 0: no drop of Cilium's */
};

/* hp_attempt.place: the index in its lowest bits; how many hold on to it, in steps of HP_HOLDER; HP_IN_USE. */
#define HP_HOLDER (1U << 22)
#define HP_IN_USE (1U << 31)

/* Map `attempts`: everything known of one attempt. An endpoint counts as seen only with the flag that says so. */
struct hp_attempt {
  /* What a healthy handshake needs comes first: one cache line. */
  struct hp_attempt_key key;
  struct hp_endpoint lb;          /* where the client sent the SYN */
  __u32 flags;                    /* enum hp_attempt_flag, and the account */
  __u64 first_ns;                 /* first SYN */
  __u32 place;                    /* its own index, whether it is taken, and by how many it is held: see HP_HOLDER */
  __u16 counters;                 /* of `lb`: index into `load_balancers` */
  __u8 way : 3;                   /* which word of its set in `attempt_index` is its */
  __u8 captured : 5;              /* of its packets so many are copied, and one more; 0: none are to be */
  __u8 learned;                   /* enum hp_learned */
  struct hp_endpoint returned;    /* destination of the SYN that came back in (S2) */
  struct hp_endpoint synack_sent; /* source of the SYN-ACK as it left a local pod, or came in (HP_SYNACK_ARRIVED) */
  union {
    struct hp_endpoint synack_delivered; /* source of the SYN-ACK as the client got it */
    struct hp_attempt_key origin;        /* HP_ALIAS: the attempt's own key */
  };
  __u64 last_ns;         /* newest SYN: how long retransmits may still come */
  __u64 synack_ns;       /* first wrong SYN-ACK, 0 if none */
  __u64 drop_location;   /* kernel address; HP_OUTCOME_DROPPED only */
  __u32 drop_reason;     /* this kernel's enum skb_drop_reason */
  __u32 syn_ifindex;     /* device the first SYN was seen on */
  __u32 synack_ifindex;  /* device the first wrong SYN-ACK was seen on */
  __u32 synack_ack;      /* host order */
  __u8 conntrack;        /* enum hp_conntrack */
  __u8 conntrack_source; /* enum hp_conntrack_source */
  __u8 cause;            /* enum hp_cause */
  __u8 outcome;          /* enum hp_outcome */
  __u8 responder_kind;   /* enum hp_responder_kind */
  __u8 syn_dropped;      /* HP_OUTCOME_DROPPED: it was the returned SYN; 0: an answer */
  __u8 same_node;        /* its SYN came in for a target here, with another source than the client's */
  __u8 pad2[1];
  struct hp_cilium_drop cilium; /* HP_OUTCOME_DROPPED by a program of Cilium's; all zero by anybody else */
};

/*
 * The responder as the client sees it, by which incidents are keyed. The destination of the returned
 * SYN comes before the source of the SYN-ACK as it left a pod or came in: with a node port the client
 * is answered by the node port, whether or not the SYN-ACK gets as far as being translated back.
 * All zero where nothing answered.
 */
static inline const struct hp_endpoint* hp_responder(const struct hp_attempt* attempt) {
  if ((attempt->flags & HP_SYNACK_DELIVERED) != 0) {
    return &attempt->synack_delivered;
  }
  if ((attempt->flags & HP_RETURNED) != 0 &&
      (attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_SYNACK_PASSED)) != 0) {
    return &attempt->returned;
  }
  if ((attempt->flags & (HP_SYNACK_LEFT | HP_SYNACK_ARRIVED | HP_SYNACK_PASSED)) == HP_SYNACK_PASSED) {
    return &attempt->synack_delivered;
  }
  return &attempt->synack_sent;
}

/*
 * Map `attempt_index`: from a key to the attempt. The key's hash chooses a set of eight words, one
 * cache line. A word has the ISN in its low 32 bits, the attempt's place in the next 28, and its
 * state in the upper two: it is what CPUs agree by.
 */
#define HP_INDEX_WAYS 8

enum hp_attempt_state {
  HP_ATTEMPT_NONE = 0, /* the word is free */
  HP_ATTEMPT_UNDECIDED = 1,
  HP_ATTEMPT_DECIDED = 2, /* counted; kept for the retransmits that may still follow */
};

struct hp_index_set {
  __u64 words[HP_INDEX_WAYS];
};

/* Map `incidents`: one misdirected pair. */
struct hp_incident_key {
  struct hp_address client;
  struct hp_endpoint lb;
  struct hp_endpoint responder; /* as the client sees it; all zero where nothing answered */
  __u8 cause;                   /* enum hp_cause */
  __u8 pad[3];
};

#define HP_INCIDENTS 8192

struct hp_incident {
  __u64 count; /* attempts, exact */
  __u64 last_event_ns;
  __u32 account; /* that it is charged to */
  __u32 pad;
  /*
   * The newest attempt that was also offered to the ring: what an alert is made of when the
   * ring was full. Written without a lock; it may be of two attempts.
   */
  struct hp_attempt example;
};

/* Upper bounds of hp_lb_counters.latencies, microseconds. */
#define HP_LATENCY_BOUNDS_US \
  {100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000}
#define HP_LATENCY_BUCKET_COUNT 16

/*
 * Map `load_balancers`: handshake counters of those that have been called. The first row, without an
 * endpoint, collects what does not fit. Map `load_balancer_index` finds the others by endpoint, map
 * `free_rows` has those that the agent gave back. Endpoints that nobody listed, but an address or a
 * prefix covers, get no more than HP_UNLISTED_ROWS of them, and no more than a quarter of that a device.
 */
#define HP_LB_COUNTERS 1280
#define HP_UNLISTED_ROWS 1023
#define HP_ROWS_A_DEVICE 256

struct hp_lb_counters {
  struct hp_endpoint lb; /* all zero: not (yet) in use */
  __u32 account;         /* that the row is charged to; 0: a listed endpoint's, nobody's */
  __u64 syns;            /* first SYNs: attempts */
  __u64 syn_retransmits; /* SYNs with an ISN already pending */
  __u64 answered;
  __u64 mismatched;
  __u64 refused;
  __u64 unanswered;
  __u64 translations;               /* S5: attempts this node translated itself */
  __u64 mismatches[HP_CAUSE_COUNT]; /* misdirected attempts by enum hp_cause */
  __u64 unpaired[HP_CAUSE_COUNT];   /* those among them that found no room in `incidents` */
  __u64 same_node_answered;         /* of the answered: those with hp_attempt.same_node */
  /* Of the answered: time from the first SYN to the LB's answer. */
  __u64 latency_ns;                         /* sum */
  __u64 latencies[HP_LATENCY_BUCKET_COUNT]; /* one more than there are bounds: the slower rest */
};

/* Map `callers`: which local clients call which load balancer, to the time of the newest SYN. */
struct hp_caller_key {
  struct hp_address client;
  struct hp_endpoint lb;
};

/*
 * Map `captures`, by hp_caller_key: of how many of the pair's next attempts the packets are to be copied
 * (HP_EVENT_PACKET), a __u32. The agent's; each such attempt takes one off.
 */
#define HP_CAPTURES 64

/* Map `sources`: the addresses that pods send from. */
struct hp_source {
  __u32 ifindex;         /* device that sent from the address last */
  __u32 unverified;      /* nothing says that it is that device's */
  struct hp_endpoint lb; /* the load balancer it called last; all zero if none */
  __u32 asked_s;         /* unverified: when it was last asked whose it is, seconds of CLOCK_MONOTONIC */
  __u64 called_ns;       /* when it did */
};

/*
 * Map `owners`, by address: pods of this node that the agent has been told of, to the ifindex of the pod's device; 0
 * where who tells (the API server) does not know it.
 */

/* Map `frontends`: what counts as a load balancer. Keyed by endpoint; port 0 holds the address. */
struct hp_frontend {
  __u32 any_port; /* port-0 entry only: every port of the address is the load balancer's */
  __u32 counters; /* of the endpoint: index into `load_balancers`, 0 if it is not known yet */
};

/*
 * A set of address hashes. `frontend_filter`, in .bss, is in front of `frontends`: nearly every SYN
 * is for somewhere else, and leaves after one load. A bit too many costs a lookup, one too few a
 * detection: set before an entry is added, cleared after it is gone.
 */
#define HP_ADDRESS_FILTER_BITS 16384

static inline __u32 hp_address_filter_bit(const struct hp_address* address) {
  /* Knuth's multiplicative hash; addresses of one subnet differ in their last word. */
  const __u32 mixed = (address->word[3] ^ address->word[2] ^ address->word[1] ^ address->word[0]) * 2654435761U;

  return mixed / (0xffffffffU / HP_ADDRESS_FILTER_BITS + 1);
}

/* Map `frontend_prefixes` (LPM trie). */
struct hp_prefix_key {
  __u32 prefix_length; /* of the 128-bit form: an IPv4 /24 is 120 */
  struct hp_address address;
};

/* Map `devices`, by ifindex: what the source check must know of an attached device. */
enum hp_device_role {
  HP_DEVICE_POD = 1,
  HP_DEVICE_UPLINK = 2,
};

/*
 * Array `seen_devices`, in .bss: pods' devices of which `from_pod` has seen a handshake, by their
 * number modulo this.
 */
#define HP_SEEN_DEVICES 1024

struct hp_device {
  __u32 role;           /* enum hp_device_role */
  __u32 master_ifindex; /* bridge it is a port of, 0 if none */
};

/* Map `totals` (per CPU), by index: what went wrong or was refused, node-wide. */
enum hp_total {
  HP_TOTAL_SPOOFED_SOURCES = 0,
  HP_TOTAL_RING_FULL = 1,         /* an event found no room in the ring */
  HP_TOTAL_PENDING_FAILED = 2,    /* an attempt could not be kept */
  HP_TOTAL_INCIDENTS_FULL = 3,    /* a mismatch was counted by LB and cause, but not by pair */
  HP_TOTAL_LB_TABLE_FULL = 4,     /* an attempt was counted with the load balancers that do not fit */
  HP_TOTAL_EVENTS = 5,            /* events put into the ring */
  HP_TOTAL_UNDECIDED_EVICTED = 6, /* an attempt was given up before it was decided, for want of a place */
  HP_TOTAL_ACK_UNWATCHED = 7,     /* one was settled as unanswered, since its client's ACK could not have been found */
  HP_TOTAL_SYNS_UNNOTED = 8,      /* a SYN to no known load balancer was not noted: its device has sent too many */
  HP_TOTAL_COUNT = 9,
};

enum hp_event_kind {
  HP_EVENT_MISMATCH = 1,  /* an attempt was found misdirected */
  HP_EVENT_OUTCOME = 2,   /* what became of one that was sent as HP_EVENT_MISMATCH */
  HP_EVENT_CONNTRACK = 3, /* a question: did this node translate the attempt? (struct hp_conntrack_answer) */
  HP_EVENT_LEARNED = 4,   /* the load balancer of an attempt that has just come back was named by nobody */
  HP_EVENT_PACKET = 5,    /* a packet of an attempt: struct hp_packet */
};

#define HP_SYMBOL_LENGTH 64

/* The ring buffer's record of every kind but HP_EVENT_PACKET. */
struct hp_event {
  __u32 kind; /* enum hp_event_kind */
  __u32 pad;
  __u64 time_ns;
  struct hp_attempt attempt;
  char drop_symbol[HP_SYMBOL_LENGTH]; /* NUL-terminated; empty if unknown */
};

/* Who saw a packet. */
enum hp_sensor {
  HP_SENSOR_FROM_POD = 0,
  HP_SENSOR_TO_POD = 1,
  HP_SENSOR_FROM_NET = 2,
  HP_SENSOR_TO_NET = 3,
  HP_SENSOR_DROP = 4,  /* the kernel dropped it */
  HP_SENSOR_RESET = 5, /* a stack on this node answers it with RST */
  HP_SENSOR_COUNT = 6,
};

#define HP_PACKET_DATA 96        /* bytes of a packet that are copied at most */
#define HP_PACKETS_AN_ATTEMPT 16 /* that are copied at most, or one or two more where CPUs meet */

/* HP_EVENT_PACKET. */
struct hp_packet {
  __u32 kind;
  __u32 ifindex; /* of the device; 0: none of the node's namespace */
  __u64 time_ns;
  struct hp_attempt_key attempt; /* its own name, whatever name this packet goes by */
  struct hp_endpoint lb;         /* the attempt's */
  __u32 length;      /* of the packet from its IP header on, as that says; 0: HP_SENSOR_DROP, HP_SENSOR_RESET */
  __u32 drop_reason; /* HP_SENSOR_DROP: this kernel's enum skb_drop_reason */
  __u8 sensor;       /* enum hp_sensor */
  __u8 tcp_flags;
  __u8 data_length;
  __u8 pad;
  __u8 data[HP_PACKET_DATA]; /* IP and TCP header as they were, never payload; zero behind data_length */
};

/* Argument of the `sweep` program. */
struct hp_sweep {
  __u64 now_ns;
  __u64 undecided; /* out: attempts still waiting for an answer */
  __u64 kept;      /* out: entries of `attempts`, of every kind */
};

/* Argument of the `set_conntrack` program: the agent's answer to HP_EVENT_CONNTRACK. */
struct hp_conntrack_answer {
  struct hp_attempt_key key;
  struct hp_endpoint responder; /* as it was asked about: an answer for another one is late */
  __u8 conntrack;               /* enum hp_conntrack */
  __u8 conntrack_source;        /* enum hp_conntrack_source */
  __u8 pad[2];
};

HP_STATIC_ASSERT(sizeof(struct hp_address) == 16);
HP_STATIC_ASSERT(sizeof(struct hp_endpoint) == 20);
HP_STATIC_ASSERT(sizeof(struct hp_attempt_key) == 24);
HP_STATIC_ASSERT(sizeof(struct hp_cilium_drop) == 16);
HP_STATIC_ASSERT(sizeof(struct hp_attempt) == 192);
HP_STATIC_ASSERT(sizeof(struct hp_index_set) == 64);
HP_STATIC_ASSERT(sizeof(struct hp_incident_key) == 60);
HP_STATIC_ASSERT(sizeof(struct hp_account) == 24);
HP_STATIC_ASSERT(sizeof(struct hp_incident) == 216);
HP_STATIC_ASSERT(sizeof(struct hp_caller_key) == 36);
HP_STATIC_ASSERT(sizeof(struct hp_lb_counters) == 352);
HP_STATIC_ASSERT(sizeof(struct hp_source) == 40);
HP_STATIC_ASSERT(sizeof(struct hp_frontend) == 8);
HP_STATIC_ASSERT(sizeof(struct hp_prefix_key) == 20);
HP_STATIC_ASSERT(sizeof(struct hp_device) == 8);
HP_STATIC_ASSERT(sizeof(struct hp_event) == 272);
HP_STATIC_ASSERT(sizeof(struct hp_packet) == 168);
HP_STATIC_ASSERT(sizeof(struct hp_sweep) == 24);
HP_STATIC_ASSERT(sizeof(struct hp_conntrack_answer) == 48);

#ifdef __cplusplus
}
#endif
#endif
