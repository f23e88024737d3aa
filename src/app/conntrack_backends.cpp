// SPDX-License-Identifier: Apache-2.0
#include "conntrack_backends.hpp"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <utility>

namespace hairpind {
namespace {

// Of a kernel that has nf_conntrack as a module, while it is loaded.
constexpr const char* kConntrackModuleBtf = "/sys/kernel/btf/nf_conntrack";

// Not being able to ask is no answer; said once, until it works again.
ConntrackAnswer answer_of(const Result<Conntrack>& found, ConntrackSource source, Fault& asking) {
  if (!found) {
    if (asking.begins()) {
      spdlog::warn("{}; alerts say conntrack \"unchecked\"", found.error().message);
    }
    return {};
  }
  if (*found == Conntrack::kUnchecked) {
    return {};
  }
  static_cast<void>(asking.ends());
  return {.conntrack = *found, .source = source};
}

}  // namespace

ConntrackBackends::ConntrackBackends(const Options& options)
    : cilium_(cilium_bpffs_roots(options.cilium_bpffs)),
      named_bpffs_(options.cilium_bpffs),
      await_module_(options.await_module) {
  if (!options.kernel) {
    netlink_ = &Ctnetlink::lookup;
  }
}

void ConntrackBackends::refresh() {
  // The programs are verified with the functions that there are; another set of them would have to take their place.
  if (await_module_ && access(kConntrackModuleBtf, F_OK) == 0) {
    await_module_ = false;
    spdlog::info(
        "nf_conntrack has been loaded since the start: it is asked over netlink, for handshakes in doubt only; an "
        "agent started now, with CAP_SYS_ADMIN, has its programs ask");
  }
  const PinChanges changes = cilium_.refresh();
  // What was asked for and is not there may be a slip of the pen.
  if (const std::string named = std::exchange(named_bpffs_, {}); !named.empty() && !cilium_.present()) {
    spdlog::warn("Cilium's conntrack: no map of it under {}/tc/globals now; waiting for one", named);
  }
  for (const std::string& path : changes.opened) {
    spdlog::info("Cilium's conntrack: reading {}", path);
  }
  for (const std::string& path : changes.gone) {
    spdlog::warn("Cilium's conntrack: {} is gone; waiting for another", path);
  }
  for (const std::string& why : changes.refused) {
    spdlog::warn(
        "Cilium's conntrack: {}; it is not read, and alerts say conntrack \"unchecked\" where only it could tell "
        "(is this Cilium newer than this hairpind?)",
        why);
  }
}

ConntrackAnswer ConntrackInquiry::ask(const Attempt& attempt, const ConntrackLookup& netlink,
                                      const ConntrackLookup& cilium) {
  ConntrackAnswer answer{.conntrack = attempt.conntrack, .source = attempt.conntrack_source};
  const ConntrackQuery query = ConntrackQuery::of(attempt);
  // Without an answer there is nothing to translate; one to no SYN of the client's is no connection to its LB.
  if (query.responder.empty() || attempt.cause == Cause::kUnsolicitedSynAck) {
    return answer;
  }
  if (answer.conntrack == Conntrack::kUnchecked && netlink) {
    answer = answer_of(netlink(query), ConntrackSource::kNetlink, asking_netlink_);
  }
  const bool open = answer.conntrack == Conntrack::kUnchecked ||
                    (answer.conntrack == Conntrack::kNoEntry && answer.source != ConntrackSource::kCilium);
  if (open && cilium) {
    answer = answer_of(cilium(query), ConntrackSource::kCilium, asking_cilium_);
  }
  return answer;
}

ConntrackAnswer ConntrackBackends::ask(const Attempt& attempt) {
  ConntrackLookup cilium;
  if (cilium_.covers(attempt.client.address)) {
    cilium = [this](const ConntrackQuery& query) { return cilium_.lookup(query); };
  }
  return inquiry_.ask(attempt, netlink_, cilium);
}

std::string ConntrackBackends::describe() const {
  const char* const cilium = cilium_.readable() ? " and cilium" : " and cilium (not readable)";
  return std::string(netlink_ ? "netlink" : "kernel") + (cilium_.present() ? cilium : "");
}

}  // namespace hairpind
