# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What is run in guests; sourced by guest.sh. A job has a guest of its own where scripts/test-kernels.sh gives it one:
# those named without_module need a kernel that has not loaded nf_conntrack yet.

hairpind=$build/hairpind
# The three capabilities of deploy/daemonset.yaml, and no other.
three="setpriv --inh-caps=-all --bounding-set=-all,+bpf,+net_admin,+perfmon --"

check() { # check STATE: that it can run, said by itself
  run "check-$1" 120 $hairpind check
  # shellcheck disable=SC2086
  run "check-$1-capabilities" 120 $three $hairpind check
}

as_three() { # as_three JOB ARGUMENT...: the tests' agents with the three capabilities alone
  HAIRPIND_LAB_STARTER=$three "$@"
}

cells() { # cells NAME SECONDS CELL...: of the verdict matrix, over IPv4 and IPv6
  local name=$1 seconds=$2 filter='' cell
  shift 2
  for cell; do filter+=Lab/VerdictCell.IsRight/${cell}_IPv4:Lab/VerdictCell.IsRight/${cell}_IPv6:; done
  gtest "$name" "$seconds" lab/lab_verdict "$filter"
}

matter_most=(ip_target_on_routed node_port_on_routed host_target_on_routed snat_egress_on_routed lb_snat_on_routed
  node_dnat_on_routed)
# Without CAP_SYS_ADMIN conntrack is asked over netlink, which is not asked about what was answered: not node_dnat.
with_three=(ip_target_on_routed node_port_on_routed lb_snat_on_routed)

# --- the module nf_conntrack: not there, there after the agent, there before -----------------------------------

without_module() {
  check without-module
  gtest module 600 vm/conntrack_module_test
}

without_module_capabilities() {
  as_three gtest module-capabilities 600 vm/conntrack_module_test
}

with_module() {
  modprobe nf_conntrack
  check with-module
  as_three cells verdicts-capabilities 600 "${with_three[@]}"
}

# --- the suites --------------------------------------------------------------------------------------------------

packets() {
  modprobe nf_conntrack
  gtest packets 2400 bpf/bpf_test
  gtest budgets 1800 bpf/budgets_test
  gtest program-cost 600 bpf/program_cost_test
  gtest conntrack-packets 1200 bpf/conntrack_test
}

# What qemu-user, in which the unit tests of another architecture run, does not do as a kernel does.
rights() {
  gtest rights 600 unit/unit_app 'LeastRights.*'
  gtest plugins 600 unit/unit_kube 'ExecCredential.*'
}

# As on every node with kube-proxy; the states without the module are above.
verdict_matrix() { # verdict_matrix [FILTER]
  modprobe -a nf_conntrack br_netfilter
  HAIRPIND_LAB_ONE_BY_ONE=1 gtest verdicts 14000 lab/lab_verdict "$@"
}
verdicts() { HAIRPIND_LAB_MATRIX=/run/results/verdict-matrix.md verdict_matrix; }

# Where the machine is another one, and the kernel's code for sockets, routes and bridges the same.
routed_verdicts() { verdict_matrix 'Lab/VerdictCell.IsRight/*_on_routed_*'; }

conntrack() {
  modprobe nf_conntrack
  gtest conntrack 2400 lab/lab_conntrack
}
lifecycle() { gtest lifecycle 2400 lab/lab_lifecycle; }
coexistence() { gtest coexistence 2400 lab/lab_coexistence; }
storm() { HAIRPIND_STORM=20000 gtest storm 2400 lab/lab_storm; }

others() {
  gtest bad-input 600 lab/lab_bad_input
  gtest packet-shapes 600 lab/lab_packet_shape
  gtest unsolicited 600 lab/lab_unsolicited
  if grep -q ' netkit_xmit$' /proc/kallsyms; then gtest netkit 1800 lab/lab_netkit; fi
}

# Each way to see who refused an answer, where the kernel would choose another one.
sensors() {
  local sensor
  for sensor in kprobe drop; do
    HAIRPIND_RESET_SENSOR=$sensor cells "verdicts-$sensor" 900 "${matter_most[@]}" node_port_masquerade_on_routed
    HAIRPIND_RESET_SENSOR=$sensor gtest "unsolicited-$sensor" 600 lab/lab_unsolicited
  done
}

# --- the subset --------------------------------------------------------------------------------------------------

subset_without_module() {
  without_module
}

subset_with_module() {
  modprobe nf_conntrack
  check with-module
  gtest program-cost 300 bpf/program_cost_test
  gtest packets 600 bpf/bpf_test '*SynIsFoundInEveryShape*:*.IpTarget/*:*.NodePort/*:*.SnatAlias*:*HealthyHandshakes*:*TranslationByThisNode*'
  cells verdicts 900 "${matter_most[@]}"
  as_three cells verdicts-capabilities 900 ip_target_on_routed
}
