#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The lab: a node with pods, a network and a load balancer, in network namespaces named PREFIX-*.
#
#   p1 10.0.1.10 -- veth1 |      |                                | lb 10.0.5.5  LB (nftables DNAT) |
#   p2 10.0.1.20 -- veth2 | node | eth0 10.0.0.4 -- 10.0.0.1 net  | -- 10.0.5.1                     | -- p3 10.0.9.9
#      nginx :8443        |      |                                |                                 |    nginx :8443
#
# IPv6 the same: fd00:1::10, fd00:1::20, fd00::4, fd00:5::5, fd00:9::9.
set -euo pipefail

usage() {
  cat <<'USAGE'
usage: lab.sh up PREFIX [DATAPATH [MODE]]
                                  build the namespaces and start the servers. MODE: below, else ip-target.
                                  DATAPATH: how packets get to pods, one of
           routed                 a veth and a host route each (AWS VPC CNI, Calico): the default
           bridge                 pods are ports of the bridge cni0, and netfilter does not see what it forwards
           bridge-netfilter       the same, and netfilter does (br_netfilter)
                                  (both with a third pod, bystander 10.0.1.30, that only a flooding bridge concerns)
           redirect               a BPF filter (clsact, prio 1) hands packets to pods with bpf_redirect_peer (Cilium)
           redirect-tcx           the same, attached as a TCX link
           netkit-l2, netkit-l3   routed, and the pods' devices, by the same names, are netkit
           netkit-redirect        redirect-tcx, and the pods' devices are netkit: their programs run where the pod sends
           endpoint               the node routes, and BPF filters (clsact) translate services: their answers last of
                                  all, at the egress of the client's device (Cilium with endpoint routes)
           endpoint-tcx           the same, attached as TCX links
           masquerade             redirect-tcx, and what leaves the node gets its address and another port at the
                                  uplink's egress; pods have no routes of their own, and their sources are checked
       lab.sh detach PREFIX       redirect: takes the BPF programs off; the node routes
       lab.sh attach PREFIX       redirect: puts them on again
       lab.sh mode PREFIX MODE    what the load balancer and the node do; one of
           ip-target              LB -> p2, client address kept: the hairpin
           ip-target-same-port    the same, and the LB sends to the port that it listens on
           ip-target-stateless    ip-target, translated without conntrack: keeps no state however many connections
           ip-target-untracked    the same, where nf_conntrack is not even loaded: it stays so
           ip-target-remapped     ip-target, and the LB gives the client another port
           ip-target-conntrack    ip-target, with netfilter conntrack active on the node
           node-port              LB -> node:30443 -> p2 (conntrack DNAT, no masquerade)
           node-port-policy       the same, and a policy of the node drops the answer
           node-port-stateless    the same, translated without conntrack
           node-port-masquerade   the same, and the node hides the client behind its address
           node-port-remote       the same, with the target on another node
           host-target            LB -> node:8443, a server on the node itself
           snat-egress            ip-target, and pods leave the node under its address (overlay CNIs)
           snat-egress-node-port  node-port, and the same
           rp-filter              ip-target, strict reverse path filtering on the uplink (IPv4)
           remote-direct          LB -> p3, which answers the client past the LB
           lb-snat                legitimate: LB -> p2, with the LB's own address as source
           answer-loss            the same, and the client loses each connection's first SYN-ACK
           remote-target          legitimate: LB -> p3, replies through the LB
           node-dnat              legitimate: the node itself translates the LB's address (kube-proxy)
           node-dnat-remote       the same, to p3
           cluster-ip             legitimate: the node translates 10.96.0.1:443 (fd00:96::1)
           node-dnat-policy       node-dnat, and a policy of the node drops the answer
           stateless-dnat-policy  the same, translated without conntrack (as Cilium does, in BPF)
           ip-target-policy       ip-target, and a policy of the node drops the answer
           policy-routed          legitimate: p2's replies are routed through the LB
           policy-routed-syn-loss      the same, and the target loses each connection's first SYN
           policy-routed-synack-loss   the same, and the node loses each connection's first SYN-ACK
           ip-target-flooded, lb-snat-flooded
                                  bridges: the same, and the bridge learns no address: each frame goes to every port
           proxy                  legitimate: the LB ends connections, and opens its own to p2
           proxy-as-client        the LB ends connections (as for TLS), and opens its own to p2 under the client's address
           bridged-card, two-cards, two-uplinks, pod-default-route, macvlan
                                  routed, ip-target by other ways in: eth0 is a port of br0, which has the address and
                                  the routes; the LB is reached by a second card, eth1; what is for pods comes in by
                                  eth1, and what they send leaves by eth0, each with a default route; the node has a
                                  default route to p1, in a table of its own; pods reach the LB by macvlan devices on
                                  eth0
           bridged-card-lb-snat, ...
                                  legitimate: the same, with the LB's own address as source
           silent                 the LB answers nothing
           refuse                 the LB answers with RST
       lab.sh evict PREFIX        routed: p2 leaves the node, and the LB sends to p3 (remote-target)
       lab.sh place PREFIX        p2 is back, and the LB sends to it again (ip-target)
       lab.sh down PREFIX         remove all of it
USAGE
  exit 2
}

[ $# -ge 2 ] || usage
command=$1 prefix=$2
state=${TMPDIR:-/tmp}/hairpind-lab-$prefix
# Where CMake built redirect_datapath, redirect.bpf.o and netkit_pair.
lab_binaries=${HAIRPIND_LAB_BINARIES:-$(dirname "$0")/../../build/dev/tests/lab}

in_ns() { # in_ns NAME COMMAND...
  local name=$1
  shift
  ip netns exec "$prefix-$name" "$@"
}

# link A DEVICE_A B DEVICE_B: a veth pair between two namespaces
link() {
  ip -n "$prefix-$1" link add "$2" type veth peer name "$4" netns "$prefix-$3"
  ip -n "$prefix-$1" link set "$2" up
  ip -n "$prefix-$3" link set "$4" up
}

link_pod() { # link_pod NUMBER: the pod's device
  case $(datapath) in
  netkit-*)
    in_ns node "$lab_binaries/netkit_pair" "veth$1" eth0 "$prefix-p$1" "$(datapath | sed 's/netkit-//; s/redirect/l2/')"
    ip -n "$prefix-node" link set "veth$1" up
    ip -n "$prefix-p$1" link set eth0 up
    ;;
  *) link node "veth$1" "p$1" eth0 ;;
  esac
}

address() { # address NAME DEVICE V4 V6
  ip -n "$prefix-$1" addr add "$3" dev "$2"
  ip -n "$prefix-$1" addr add "$4" dev "$2" nodad
}

datapath() { cat "$state/datapath"; }

redirects() { # does the lab have a BPF datapath?
  case $(datapath) in redirect* | endpoint* | masquerade | netkit-redirect) ;; *) false ;; esac
}

datapath_kind() { # how the BPF datapath is attached
  case $(datapath) in *-tcx | masquerade | netkit-redirect) echo tcx ;; *) echo clsact ;; esac
}

redirect_datapath() { # redirect_datapath COMMAND ARGUMENT...: tells the node's BPF datapath
  local command=$1
  shift
  in_ns node "$lab_binaries/redirect_datapath" "$command" "$state/bpf" "$@"
}

route() { # route NAME V4 V6 ARGUMENTS-OF-4 -- ARGUMENTS-OF-6
  local name=$1 v4=$2 v6=$3
  shift 3
  local four=()
  while [ "$1" != -- ]; do four+=("$1"); shift; done
  shift
  ip -n "$prefix-$name" route replace "$v4" "${four[@]}"
  ip -n "$prefix-$name" -6 route replace "$v6" "$@"
}

serve() { # serve NAME PORT...
  local name=$1 directory=$state/$1 port listen=
  shift
  for port; do listen+="listen $port backlog=4096; listen [::]:$port backlog=4096; "; done
  mkdir -p "$directory"
  cat >"$directory/nginx.conf" <<CONF
user root;
worker_processes 1;
pid $directory/nginx.pid;
error_log $directory/error.log;
events { worker_connections 4096; }
http {
  access_log off;
  client_body_temp_path $directory; proxy_temp_path $directory; fastcgi_temp_path $directory;
  uwsgi_temp_path $directory; scgi_temp_path $directory;
  server { ${listen}location / { return 200 "$name\n"; } }
}
CONF
  # Not ours to keep open: a caller that waits for the end of our output must not wait for the server.
  in_ns "$name" nginx -c "$directory/nginx.conf" >"$directory/stdout" 2>&1
}

lb_proxies() { # lb_proxies V4 V6 [as-client]
  local directory=$state/lb
  mkdir -p "$directory"
  cat >"$directory/nginx.conf" <<CONF
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
user root;
worker_processes 1;
pid $directory/nginx.pid;
error_log $directory/error.log;
events { worker_connections 4096; }
stream {
  ${3:+proxy_bind \$remote_addr transparent;}
  server { listen 10.0.5.5:443; proxy_pass $1; }
  server { listen [fd00:5::5]:443; proxy_pass $2; }
}
CONF
  in_ns lb nginx -c "$directory/nginx.conf" >"$directory/stdout" 2>&1
}

stop_lb_proxy() {
  local pid
  [ -s "$state/lb/nginx.pid" ] || return 0
  pid=$(cat "$state/lb/nginx.pid")
  kill "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
}

# A pod as the AWS VPC CNI and Calico route it: one host route, the node as gateway.
route_pod() { # route_pod NUMBER
  address "p$1" eth0 "10.0.1.${1}0/32" "fd00:1::${1}0/128"
  ip -n "$prefix-node" addr add 169.254.1.1/32 dev "veth$1"
  ip -n "$prefix-node" addr add fe80::1/64 dev "veth$1" nodad
  ip -n "$prefix-p$1" route add 169.254.1.1 dev eth0
  route "p$1" default default via 169.254.1.1 dev eth0 -- via fe80::1 dev eth0
  route node "10.0.1.${1}0" "fd00:1::${1}0" dev "veth$1" -- dev "veth$1"
}
route_pods() {
  route_pod 1
  route_pod 2
}

# The pod itself goes on, with its server, and without a network.
evict() {
  ip -n "$prefix-node" link del veth2
  mode remote-target
}
place() {
  link_pod 2
  route_pod 2
  mode ip-target
}

# Pods as the bridge plugin connects them: pods reach each other by layer 2.
bridge_pods() { # bridge_pods 0|1: whether netfilter sees bridged packets
  local pod
  if ! in_ns node test -e /proc/sys/net/bridge/bridge-nf-call-iptables; then
    if [ "$1" -eq 1 ]; then
      echo "lab.sh: this kernel has no br_netfilter, or its module is not loaded (modprobe br_netfilter)" >&2
      exit 77
    fi
  else
    in_ns node sysctl -qw net.bridge.bridge-nf-call-iptables="$1" net.bridge.bridge-nf-call-ip6tables="$1"
  fi
  ip -n "$prefix-node" link add cni0 type bridge
  ip -n "$prefix-node" link set cni0 up
  address node cni0 10.0.1.1/24 fd00:1::1/64
  link node veth3 bystander eth0
  ip -n "$prefix-node" link set veth3 master cni0
  address bystander eth0 10.0.1.30/24 fd00:1::30/64
  for pod in 1 2; do
    ip -n "$prefix-node" link set "veth$pod" master cni0
    address "p$pod" eth0 "10.0.1.${pod}0/24" "fd00:1::${pod}0/64"
    route "p$pod" default default via 10.0.1.1 -- via fd00:1::1
  done
}

# As Cilium with BPF host routing: the routes are there too, for what the programs leave to the stack.
redirect_pods() {
  local pod mac endpoint_routes=0 check_sources=0 netkit=0
  if [ "$(datapath_kind)" = tcx ] && ! grep -q ' tcx_prog_attach$' /proc/kallsyms; then
    echo "lab.sh: this kernel has no TCX (6.6)" >&2
    exit 77
  fi
  mkdir "$state/bpf"
  mount -t bpf "$prefix" "$state/bpf"
  redirect_datapath load "$lab_binaries/redirect.bpf.o"
  case $(datapath) in
  endpoint*) endpoint_routes=1 ;;
  netkit-redirect) netkit=1 ;;
  masquerade)
    check_sources=1
    share_pod_route
    ;;
  esac
  redirect_datapath kind $endpoint_routes $check_sources $netkit 10.0.0.4 fd00::4
  for pod in 1 2; do
    mac=$(in_ns "p$pod" cat /sys/class/net/eth0/address)
    redirect_datapath pod "10.0.1.${pod}0" "veth$pod" "$mac"
    redirect_datapath pod "fd00:1::${pod}0" "veth$pod" "$mac"
  done
  attach
}

# One device for all pods instead of a route each, as Cilium's cilium_host.
share_pod_route() {
  local pod
  for pod in 1 2; do
    ip -n "$prefix-node" route del "10.0.1.${pod}0" dev "veth$pod"
    ip -n "$prefix-node" -6 route del "fd00:1::${pod}0" dev "veth$pod"
  done
  ip -n "$prefix-node" link add pods type veth peer name pods-end
  ip -n "$prefix-node" link set pods-end up
  ip -n "$prefix-node" link set pods arp off up
  route node 10.0.1.0/24 fd00:1::/64 dev pods -- dev pods
}

bridge_learns() { # bridge_learns on|off
  local device
  for device in veth1 veth2; do bridge -n "$prefix-node" link set dev $device learning "$1"; done
  ip -n "$prefix-node" link set cni0 type bridge fdb_flush
}

programs() { # the BPF datapath's programs, with their device and direction
  local pods=ingress
  [ "$(datapath)" != netkit-redirect ] || pods=peer
  echo rd_from_pod veth1 $pods
  echo rd_from_pod veth2 $pods
  echo rd_from_net eth0 ingress
  case $(datapath) in
  endpoint*)
    echo rd_to_pod veth1 egress
    echo rd_to_pod veth2 egress
    ;;
  masquerade)
    echo rd_to_net eth0 egress
    echo rd_from_host pods egress
    ;;
  esac
}

attach() {
  local kind program device direction
  kind=$(datapath_kind)
  programs | while read -r program device direction; do
    redirect_datapath attach $kind "$program" "$device" "$direction"
  done
}

detach() {
  local program device direction
  programs | while read -r program device direction; do redirect_datapath detach "$device" "$direction"; done
}

up() {
  mkdir -p "$state"
  echo "${1:-routed}" >"$state/datapath"
  local name
  for name in node p1 p2 p3 bystander net lb; do
    ip netns add "$prefix-$name"
    in_ns "$name" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.conf.all.rp_filter=0 \
      net.ipv4.conf.default.rp_filter=0 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0 \
      net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv4.ip_local_port_range="1024 65000"
    ip -n "$prefix-$name" link set lo up
  done

  link_pod 1
  link_pod 2
  link node eth0 net node
  link lb eth0 net lb
  link lb p3 p3 eth0

  case $(datapath) in
  routed | netkit-l*) route_pods ;;
  bridge) bridge_pods 0 ;;
  bridge-netfilter) bridge_pods 1 ;;
  redirect* | endpoint* | masquerade | netkit-redirect) route_pods ;;
  *) usage ;;
  esac
  address node eth0 10.0.0.4/24 fd00::4/64
  address net node 10.0.0.1/24 fd00::1/64
  address net lb 10.0.5.1/24 fd00:5::1/64
  address lb eth0 10.0.5.5/24 fd00:5::5/64
  address lb p3 10.0.9.1/24 fd00:9::1/64
  address p3 eth0 10.0.9.9/24 fd00:9::9/64
  route node default default via 10.0.0.1 -- via fd00::1
  route net 10.0.1.0/24 fd00:1::/64 via 10.0.0.4 -- via fd00::4
  route net 10.0.9.0/24 fd00:9::/64 via 10.0.5.5 -- via fd00:5::5
  route lb default default via 10.0.5.1 -- via fd00:5::1
  route p3 default default via 10.0.9.1 -- via fd00:9::1

  if redirects; then redirect_pods; fi

  serve p2 8443 443
  serve p3 8443
  serve node 8443
  mode "${2:-ip-target}"
}

lb_sends_to() { # lb_sends_to V4 V6 [snat]
  in_ns lb nft -f - <<RULES
table inet lb {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr 10.0.5.5 tcp dport 443 dnat ip to $1
    ip6 daddr fd00:5::5 tcp dport 443 dnat ip6 to $2
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ${3:+ct status dnat masquerade}
  }
}
RULES
}

# sends_statelessly lb|node [notrack]: there, what is for the LB goes to p2, without conntrack
sends_statelessly() {
  in_ns "$1" nft -f - <<RULES
table inet stateless {
  chain prerouting {
    type filter hook prerouting priority raw;
    ip daddr 10.0.5.5 tcp dport 443 ip daddr set 10.0.1.20 tcp dport set 8443 ${2:-}
    ip6 daddr fd00:5::5 tcp dport 443 ip6 daddr set fd00:1::20 tcp dport set 8443 ${2:-}
  }
}
RULES
}

node_dnats() { # node_dnats V4 V6 PORT [TARGET-V4 TARGET-V6]: what is sent there goes to p2, or to that target
  in_ns node nft -f - <<RULES
table inet node {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr $1 tcp dport $3 dnat ip to ${4:-10.0.1.20}:8443
    ip6 daddr $2 tcp dport $3 dnat ip6 to [${5:-fd00:1::20}]:8443
  }
}
RULES
}

# node_translates pod|net V4 V6 PORT [TARGET-V4 TARGET-V6]: as node_dnats, and by the BPF datapath where there is one;
# whose packets
node_translates() {
  if redirects; then
    redirect_datapath service "$1" "$2" "$4" "${5:-10.0.1.20}" 8443
    redirect_datapath service "$1" "$3" "$4" "${6:-fd00:1::20}" 8443
  else
    shift
    node_dnats "$@"
  fi
}

# A policy that knows only of connections that p1 opened: p2's answer to the returned SYN is not for one.
# As a policy does: what finds a neighbour passes. Else no answer would leave p2 once it forgot where p1 is.
node_drops_answers() {
  case $(datapath) in
  routed | netkit-l*) in_ns node nft 'add table inet node; add chain inet node forward { type filter hook forward priority filter; };
    add rule inet node forward iif veth2 oif veth1 meta l4proto tcp drop' ;;
  bridge) in_ns node nft 'add table bridge node; add chain bridge node forward { type filter hook forward priority filter; };
    add rule bridge node forward iif veth2 oif veth1 meta l4proto tcp drop' ;;
  bridge-netfilter) in_ns node nft 'add table inet node; add chain inet node forward { type filter hook forward priority filter; };
    add rule inet node forward iif cni0 oif cni0 meta l4proto tcp drop' ;;
  redirect* | endpoint* | masquerade | netkit-redirect) redirect_datapath settings 1 - ;;
  esac
}

node_masquerades() { # node_masquerades MATCH...: hides sources behind the node's address
  in_ns node nft -f - <<RULES
table inet node {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    $* masquerade
  }
}
RULES
}

lb_answers() { # lb_answers STATEMENT
  in_ns lb nft -f - <<RULES
table inet lb {
  chain input {
    type filter hook input priority filter;
    tcp dport 443 $1
  }
}
RULES
}

drop_first() { # drop_first NAME HOOK FLAGS: the first packet of each connection with these of SYN and ACK
  in_ns "$1" nft -f - <<RULES
table inet loss {
  set seen4 { type ipv4_addr . inet_service . ipv4_addr . inet_service; flags dynamic; timeout 1m; }
  set seen6 { type ipv6_addr . inet_service . ipv6_addr . inet_service; flags dynamic; timeout 1m; }
  chain loss {
    type filter hook $2 priority filter;
    tcp flags & (syn | ack) == $3 ip saddr . tcp sport . ip daddr . tcp dport != @seen4 \
      add @seen4 { ip saddr . tcp sport . ip daddr . tcp dport } drop
    tcp flags & (syn | ack) == $3 ip6 saddr . tcp sport . ip6 daddr . tcp dport != @seen6 \
      add @seen6 { ip6 saddr . tcp sport . ip6 daddr . tcp dport } drop
  }
}
RULES
}

# p2's replies leave the node, whoever they are for, and the net hands them to the LB.
route_replies_through_lb() {
  local family device=veth2
  case $(datapath) in
  bridge*)
    device=cni0
    route p2 10.0.1.10 fd00:1::10 via 10.0.1.1 -- via fd00:1::1
    ;;
  redirect* | endpoint* | netkit-redirect) redirect_datapath settings 0 veth2 ;;
  esac
  ip -n "$prefix-node" -4 rule add pref 100 iif $device from 10.0.1.20 lookup 100
  ip -n "$prefix-node" -6 rule add pref 100 iif $device from fd00:1::20 lookup 100
  for family in -4 -6; do
    ip -n "$prefix-net" $family rule add pref 100 iif node lookup 100
  done
  ip -n "$prefix-node" -4 route replace default via 10.0.0.1 table 100
  ip -n "$prefix-node" -6 route replace default via fd00::1 table 100
  ip -n "$prefix-net" -4 route replace default via 10.0.5.5 table 100
  ip -n "$prefix-net" -6 route replace default via fd00:5::5 table 100
}

# Other ways between the node and the network than eth0 and a device for each pod. The next mode undoes it.
change_ways() { # change_ways WAYS: a mode's name
  local pod
  echo "$1" >"$state/ways"
  case $1 in
  bridged-card)
    ip -n "$prefix-node" link add br0 type bridge
    ip -n "$prefix-node" addr flush dev eth0 scope global
    ip -n "$prefix-node" link set eth0 master br0
    ip -n "$prefix-node" link set br0 up
    address node br0 10.0.0.4/24 fd00::4/64
    route node default default via 10.0.0.1 -- via fd00::1
    ;;
  two-cards | two-uplinks)
    link node eth1 net node1
    address node eth1 10.0.2.4/24 fd00:2::4/64
    address net node1 10.0.2.1/24 fd00:2::1/64
    route net 10.0.1.0/24 fd00:1::/64 via 10.0.2.4 -- via fd00:2::4
    case $1 in
    two-cards) route node 10.0.5.0/24 fd00:5::/64 via 10.0.2.1 -- via fd00:2::1 ;;
    two-uplinks)
      ip -n "$prefix-node" route add default via 10.0.2.1 dev eth1 table 102
      ip -n "$prefix-node" -6 route add default via fd00:2::1 dev eth1 table 102
      ;;
    esac
    ;;
  pod-default-route)
    ip -n "$prefix-node" route add default via 10.0.1.10 dev veth1 onlink table 101
    ip -n "$prefix-node" -6 route add default via fd00:1::10 dev veth1 onlink table 101
    ;;
  macvlan)
    for pod in 1 2; do
      ip -n "$prefix-node" link add "macvlan$pod" link eth0 type macvlan mode bridge
      ip -n "$prefix-node" link set "macvlan$pod" netns "$prefix-p$pod" name net1
      ip -n "$prefix-p$pod" link set net1 up
      address "p$pod" net1 "10.0.0.1${pod}0/24" "fd00::1${pod}0/64"
      route "p$pod" 10.0.5.0/24 fd00:5::/64 via 10.0.0.1 -- via fd00::1
    done
    # Who asks for a neighbour while hundreds connect at once loses some of them.
    knows p1 net1 10.0.0.1 fd00::1 net node
    knows p2 net1 10.0.0.1 fd00::1 net node
    knows net node 10.0.0.110 fd00::110 p1 net1
    knows net node 10.0.0.120 fd00::120 p2 net1
    knows p1 net1 10.0.0.120 fd00::120 p2 net1
    knows p2 net1 10.0.0.110 fd00::110 p1 net1
    ;;
  esac
}

# knows NAMESPACE DEVICE IPV4 IPV6 OTHER-NAMESPACE OTHER-DEVICE: that these addresses are the other device's
knows() {
  local mac
  mac=$(ip -n "$prefix-$5" -j link show "$6" | jq -r '.[0].address')
  ip -n "$prefix-$1" neigh replace "$3" lladdr "$mac" dev "$2" nud permanent
  ip -n "$prefix-$1" neigh replace "$4" lladdr "$mac" dev "$2" nud permanent
}

undo_ways() {
  local pod
  [ -e "$state/ways" ] || return 0
  case $(cat "$state/ways") in
  bridged-card)
    ip -n "$prefix-node" link del br0
    address node eth0 10.0.0.4/24 fd00::4/64
    route node default default via 10.0.0.1 -- via fd00::1
    ;;
  two-cards | two-uplinks)
    ip -n "$prefix-node" link del eth1
    route net 10.0.1.0/24 fd00:1::/64 via 10.0.0.4 -- via fd00::4
    ;;
  pod-default-route)
    ip -n "$prefix-node" route flush table 101
    ip -n "$prefix-node" -6 route flush table 101
    ;;
  macvlan)
    for pod in 1 2; do ip -n "$prefix-p$pod" link del net1; done
    ip -n "$prefix-net" neigh flush nud permanent dev node
    ;;
  esac
  rm "$state/ways"
}

# Back to: forwards nothing, translates nothing.
reset_mode() {
  local name
  for name in node lb net p1 p2; do
    in_ns "$name" nft flush ruleset
    # Without the module there is nothing to flush, and asking would load it.
    [ ! -e /proc/sys/net/netfilter/nf_conntrack_max ] || in_ns "$name" conntrack -F >"$state/conntrack" 2>&1 || true
  done
  local family
  for family in -4 -6; do
    ip -n "$prefix-node" $family rule del pref 100 2>/dev/null || true
    ip -n "$prefix-net" $family rule del pref 100 2>/dev/null || true
  done
  ip -n "$prefix-p2" -4 route del 10.0.1.10 2>/dev/null || true
  ip -n "$prefix-p2" -6 route del fd00:1::10 2>/dev/null || true
  ip -n "$prefix-p3" link del direct 2>/dev/null || true
  stop_lb_proxy
  undo_ways
  case $(datapath) in
  bridge*) bridge_learns on ;;
  redirect* | endpoint* | masquerade | netkit-redirect) redirect_datapath reset ;;
  esac
  in_ns node sysctl -qw net.ipv4.conf.eth0.rp_filter=0
}

# p3 gets a way to the node that does not pass the LB.
connect_p3_directly() {
  link p3 direct net p3
  address p3 direct 10.0.8.9/24 fd00:8::9/64
  address net p3 10.0.8.1/24 fd00:8::1/64
}

mode() {
  reset_mode
  case $1 in *-flooded) bridge_learns off ;; esac
  case ${1%-flooded} in
  ip-target) lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443' ;;
  ip-target-remapped)
    lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443'
    in_ns lb nft -f - <<'RULES'
table inet remap {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 10.0.1.10 tcp dport 8443 snat ip to 10.0.1.10:20000-20999
    ip6 saddr fd00:1::10 tcp dport 8443 snat ip6 to [fd00:1::10]:20000-20999
  }
}
RULES
    ;;
  ip-target-same-port) lb_sends_to 10.0.1.20:443 '[fd00:1::20]:443' ;;
  ip-target-stateless) sends_statelessly lb notrack ;;
  ip-target-untracked) sends_statelessly lb ;;
  ip-target-conntrack)
    lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443'
    in_ns node nft 'add table inet node; add chain inet node forward { type filter hook forward priority filter; };
      add rule inet node forward ct state established counter'
    ;;
  node-port | node-port-policy | snat-egress-node-port)
    lb_sends_to 10.0.0.4:30443 '[fd00::4]:30443'
    node_translates net 10.0.0.4 fd00::4 30443
    case $1 in
    node-port-policy) node_drops_answers ;;
    snat-egress-*) node_masquerades oif eth0 ;;
    esac
    ;;
  node-port-stateless)
    lb_sends_to 10.0.0.4:30443 '[fd00::4]:30443'
    in_ns node nft -f - <<'RULES'
table inet node {
  chain prerouting {
    type filter hook prerouting priority raw;
    iif eth0 ip daddr 10.0.0.4 tcp dport 30443 ip daddr set 10.0.1.20 tcp dport set 8443 notrack
    iif eth0 ip6 daddr fd00::4 tcp dport 30443 ip6 daddr set fd00:1::20 tcp dport set 8443 notrack
  }
  # After routing: before it, the node's own address as source would be a martian.
  chain postrouting {
    type filter hook postrouting priority srcnat;
    oif veth1 ip saddr 10.0.1.20 tcp sport 8443 ip saddr set 10.0.0.4 tcp sport set 30443
    oif veth1 ip6 saddr fd00:1::20 tcp sport 8443 ip6 saddr set fd00::4 tcp sport set 30443
  }
}
RULES
    ;;
  node-port-masquerade)
    lb_sends_to 10.0.0.4:30443 '[fd00::4]:30443'
    node_dnats 10.0.0.4 fd00::4 30443
    node_masquerades ct status dnat
    ;;
  node-port-remote)
    connect_p3_directly
    lb_sends_to 10.0.0.4:30443 '[fd00::4]:30443'
    node_dnats 10.0.0.4 fd00::4 30443 10.0.8.9 fd00:8::9
    node_masquerades ct status dnat
    route p3 10.0.0.0/24 fd00::/64 via 10.0.8.1 -- via fd00:8::1
    ;;
  snat-egress)
    lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443'
    node_masquerades oif eth0
    ;;
  rp-filter)
    lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443'
    in_ns node sysctl -qw net.ipv4.conf.eth0.rp_filter=1
    ;;
  host-target) lb_sends_to 10.0.0.4:8443 '[fd00::4]:8443' ;;
  remote-direct)
    lb_sends_to 10.0.9.9:8443 '[fd00:9::9]:8443'
    connect_p3_directly
    route p3 10.0.1.0/24 fd00:1::/64 via 10.0.8.1 -- via fd00:8::1
    ;;
  lb-snat) lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443' snat ;;
  answer-loss)
    lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443' snat
    drop_first p1 input 'syn | ack'
    ;;
  remote-target) lb_sends_to 10.0.9.9:8443 '[fd00:9::9]:8443' ;;
  node-dnat) node_translates pod 10.0.5.5 fd00:5::5 443 ;;
  node-dnat-remote) node_translates pod 10.0.5.5 fd00:5::5 443 10.0.9.9 fd00:9::9 ;;
  cluster-ip) node_translates pod 10.96.0.1 fd00:96::1 443 ;;
  node-dnat-policy)
    node_dnats 10.0.5.5 fd00:5::5 443
    node_drops_answers
    ;;
  stateless-dnat-policy)
    sends_statelessly node notrack
    node_drops_answers
    ;;
  ip-target-policy)
    lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443'
    node_drops_answers
    ;;
  policy-routed | policy-routed-syn-loss | policy-routed-synack-loss)
    lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443'
    route_replies_through_lb
    case $1 in
    *-syn-loss) drop_first p2 input syn ;;
    *-synack-loss) drop_first node forward 'syn | ack' ;;
    esac
    ;;
  bridged-card* | two-cards* | two-uplinks* | pod-default-route*)
    change_ways "${1%-lb-snat}"
    case $1 in
    *-lb-snat) lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443' snat ;;
    *) lb_sends_to 10.0.1.20:8443 '[fd00:1::20]:8443' ;;
    esac
    ;;
  macvlan*)
    change_ways macvlan
    case $1 in
    *-lb-snat) lb_sends_to 10.0.0.120:8443 '[fd00::120]:8443' snat ;;
    *) lb_sends_to 10.0.0.120:8443 '[fd00::120]:8443' ;;
    esac
    ;;
  proxy) lb_proxies 10.0.1.20:8443 '[fd00:1::20]:8443' ;;
  proxy-as-client) lb_proxies 10.0.1.20:8443 '[fd00:1::20]:8443' as-client ;;
  silent) lb_answers drop ;;
  refuse) lb_answers 'reject with tcp reset' ;;
  *) usage ;;
  esac
}

down() {
  local pidfile
  for pidfile in "$state"/*/nginx.pid; do
    [ ! -s "$pidfile" ] || kill "$(cat "$pidfile")" 2>/dev/null || true
  done
  local name
  for name in node p1 p2 p3 bystander net lb; do
    ip netns del "$prefix-$name" 2>/dev/null || true
  done
  umount "$state/bpf" 2>/dev/null || true
  rm -rf "$state"
}

case $command in
up)
  trap 'status=$?; [ $status -eq 0 ] || down; exit $status' EXIT
  up "${3:-}" "${4:-}"
  ;;
attach) attach ;;
detach) detach ;;
mode) mode "${3:-}" ;;
evict) evict ;;
place) place ;;
down) down ;;
*) usage ;;
esac
