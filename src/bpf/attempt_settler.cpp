// SPDX-License-Identifier: Apache-2.0
#include "hairpind/bpf/attempt_settler.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <string>

#include "hairpind/bpf/programs.hpp"
#include "handshake.skel.h"

namespace hairpind {
namespace {

// What the program writes to its argument is copied back.
template <typename Argument>
std::function<Result<void>(Argument&)> syscall_program(const bpf_program* program) {
  return [program](Argument& argument) -> Result<void> {
    bpf_test_run_opts options{};
    options.sz = sizeof(options);
    options.ctx_in = &argument;
    options.ctx_size_in = sizeof(argument);
    if (const int error = bpf_prog_test_run_opts(bpf_program__fd(program), &options); error != 0) {
      return fail_errno("run the BPF program '" + std::string(bpf_program__name(program)) + "'", error);
    }
    return {};
  };
}

}  // namespace

AttemptSettler::Kernel AttemptSettler::kernel_of(const Programs& programs) {
  const handshake_bpf& object = programs.object();
  Kernel kernel{.sweep = [](hp_sweep&) -> Result<void> { return {}; },
                .set_conntrack = syscall_program<hp_conntrack_answer>(object.progs.set_conntrack),
                .attempts_changed = [bss = object.bss]() -> std::uint32_t { return bss->attempts_changed; }};
  if (bpf_program__autoload(object.progs.sweep)) {
    kernel.sweep = syscall_program<hp_sweep>(object.progs.sweep);
  }
  return kernel;
}

Result<std::uint64_t> AttemptSettler::sweep(SinceBoot now) {
  // Walking the empty table of an idle node is most of what the agent would cost there.
  const std::uint32_t changed = kernel_.attempts_changed();
  const bool nothing_new = changed == changed_;
  if (nothing_new && clean_) {
    return 0;
  }
  hp_sweep argument{.now_ns = static_cast<__u64>(now.count()), .undecided = 0, .kept = 0};
  if (auto ran = kernel_.sweep(argument); !ran) {
    return std::unexpected(ran.error());
  }
  // A place is taken a moment before its attempt is found: what a sweep has just missed is there at the next.
  changed_ = changed;
  clean_ = nothing_new && argument.kept == 0;
  return argument.undecided;
}

Result<void> AttemptSettler::set_conntrack(const Attempt& asked, const ConntrackAnswer& answer) const {
  const hp_endpoint client = asked.client.to_abi();
  hp_conntrack_answer argument{.key = {.client = client.address, .isn = asked.isn, .port = client.port, .pad = 0},
                               .responder = ConntrackQuery::of(asked).responder.to_abi(),
                               .conntrack = static_cast<std::uint8_t>(answer.conntrack),
                               .conntrack_source = static_cast<std::uint8_t>(answer.source),
                               .pad = {}};
  return kernel_.set_conntrack(argument);
}

}  // namespace hairpind
