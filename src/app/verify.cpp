// SPDX-License-Identifier: Apache-2.0
#include "verify.hpp"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <ranges>
#include <utility>
#include <variant>

#include "command_line.hpp"
#include "hairpind/core/error.hpp"
#include "hairpind/core/frontend.hpp"
#include "hairpind/net/local_http.hpp"
#include "hairpind/net/tcp_prober.hpp"
#include "hairpind/output/http_server.hpp"

namespace hairpind {
namespace {

constexpr int kAllAnswered = 0;
constexpr int kNotAllAnswered = 1;
constexpr int kError = 2;

constexpr std::uint16_t kHttps = 443;
constexpr std::size_t kBarWidth = 40;

double milliseconds(std::chrono::microseconds time) {
  return std::chrono::duration<double, std::milli>(time).count();
}

std::map<Endpoint, Verification> by_address(const std::vector<TriedHandshake>& tried) {
  std::map<Endpoint, std::vector<TriedHandshake>> sorted;
  for (const TriedHandshake& handshake : tried) {
    sorted[handshake.load_balancer].push_back(handshake);
  }
  std::map<Endpoint, Verification> result;
  for (const auto& [address, handshakes] : sorted) {
    result.emplace(address, Verification::of(handshakes));
  }
  return result;
}

std::string counts(const Verification& found) {
  std::string text = fmt::format("{} connections: {} answered, {} refused, {} unanswered", found.total(),
                                 found.answered, found.refused, found.unanswered);
  if (found.answered > 0) {
    text += fmt::format("; answered after {:.2f} ms at least, {:.2f} ms in the middle, {:.2f} ms for 99 of 100",
                        milliseconds(found.least), milliseconds(found.median), milliseconds(found.p99));
  }
  return text;
}

std::string what_it_means(const Verification& found, const std::optional<std::uint64_t>& targets) {
  if (found.unanswered > 0) {
    return "Not all were answered. Where only clients fail that share a node with a target of the load balancer, the "
           "target answers past it: hairpind's alert on this node says which one answered and what to change.";
  }
  if (found.refused > 0) {
    return "Refused is answered: by the load balancer, or by a target where nothing listens. It is no sign of a "
           "hairpin.";
  }
  if (!targets) {
    return fmt::format(
        "All were answered. How much that says depends on how many targets the load balancer picks from: where one is "
        "beside this client, {} connections tell with 3 of them, {} with 10, {} with 30 (give --targets N).",
        connections_needed(3), connections_needed(10), connections_needed(30));
  }
  const std::uint64_t needed = connections_needed(*targets);
  const std::string luck = fmt::format("{:.2g} %", 100 * chance_of_luck(*targets, found.total()));
  if (found.total() >= needed) {
    return fmt::format(
        "All were answered. If one of the {} targets is beside this client, chance alone would have missed it {} of "
        "the "
        "time: it works from here.",
        *targets, luck);
  }
  return fmt::format(
      "All were answered, but that may be luck: if one of the {} targets is beside this client, chance alone misses it "
      "{} of the time. {} connections tell (--count {}).",
      *targets, luck, needed, needed);
}

nlohmann::ordered_json to_json(const Verification& found) {
  nlohmann::ordered_json json{{"connections", found.total()},
                              {"answered", found.answered},
                              {"refused", found.refused},
                              {"unanswered", found.unanswered},
                              {"latency_ms", nullptr}};
  if (found.answered > 0) {
    json["latency_ms"] = {
        {"min", milliseconds(found.least)}, {"median", milliseconds(found.median)}, {"p99", milliseconds(found.p99)}};
  }
  return json;
}

std::string what_the_agent_counted(const AgentsView& agent) {
  return fmt::format(
      "The agent on this node counted meanwhile, of all clients here: {} answered ({} of them by way of a "
      "target on this node), {} misdirected{}.\n",
      agent.answered, agent.same_node_answered, agent.mismatched,
      agent.state.empty() ? "" : "; the load balancer's problem is " + agent.state);
}

// On a terminal only: a log wants none of it.
void show_progress(std::size_t done, std::size_t all) {
  const std::size_t filled = kBarWidth * done / all;
  std::fprintf(stderr, "\r[%s%s] %zu/%zu%s", std::string(filled, '#').c_str(),
               std::string(kBarWidth - filled, ' ').c_str(), done, all, done == all ? "\r\033[K" : "");
}

struct Options {
  std::string load_balancer;
  std::size_t count = 20;
  double timeout = 3;
  std::optional<std::uint64_t> targets;
  std::string listen = "127.0.0.1:9477";
  std::string output = "table";
};

// Empty where no agent answers: then there is none to ask, here.
std::string ask_agent(const std::string& listen) {
  const auto address = parse_listen_address(listen);
  return address ? get_local(address->first, address->second, "/v1/status").value_or("") : "";
}

struct Named {
  std::string name;  ///< with the port
  std::vector<Endpoint> addresses;
};

Result<Named> addresses_of(const std::string& text) {
  const auto parsed = parse_load_balancer(text);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  if (const auto* const frontend = std::get_if<Frontend>(&*parsed)) {
    if (frontend->is_prefix()) {
      return fail("load balancer '" + text + "': a prefix is many; give one address or name");
    }
    const Endpoint endpoint{.address = frontend->address, .port = frontend->port == 0 ? kHttps : frontend->port};
    return Named{.name = endpoint.to_string(), .addresses = {endpoint}};
  }
  const auto& host = std::get<HostName>(*parsed);
  const std::uint16_t port = host.port == 0 ? kHttps : host.port;
  auto addresses = resolve_now(host.name, port);
  if (!addresses) {
    return std::unexpected(addresses.error());
  }
  return Named{.name = host.name + ":" + std::to_string(port), .addresses = *std::move(addresses)};
}

int verify(const Options& options) {
  // An agent that hangs up is one that does not answer.
  std::signal(SIGPIPE, SIG_IGN);
  auto named = addresses_of(options.load_balancer);
  if (!named) {
    std::fprintf(stderr, "hairpind: %s\n", named.error().message.c_str());
    return kError;
  }
  const bool on_terminal = isatty(STDERR_FILENO) != 0;
  const ProbePlan plan{.load_balancers = std::move(named->addresses),
                       .connections = options.count,
                       .timeout = std::chrono::milliseconds(static_cast<std::int64_t>(options.timeout * 1000))};
  const std::string before = ask_agent(options.listen);
  auto tried = probe(plan, [&](std::size_t done) {
    if (on_terminal) {
      show_progress(done, options.count);
    }
  });
  if (!tried) {
    std::fprintf(stderr, "hairpind: %s\n", tried.error().message.c_str());
    return kError;
  }
  const VerifyReport report{
      .load_balancer = std::move(named->name),
      .tried = *std::move(tried),
      .agent = before.empty() ? std::nullopt : agents_view(before, ask_agent(options.listen), plan.load_balancers),
      .targets = options.targets};
  std::fputs((options.output == "json" ? verification_json(report) + "\n" : render_verification(report)).c_str(),
             stdout);
  if (std::fflush(stdout) != 0) {
    std::fprintf(stderr, "hairpind: write the result to stdout: it cannot be written to\n");
    return kError;
  }
  const Verification found = Verification::of(report.tried);
  return found.answered == found.total() ? kAllAnswered : kNotAllAnswered;
}

// Those of the load balancers tried, added up; nullopt for what is no status.
std::optional<AgentsView> counted(const std::string& status, const std::vector<Endpoint>& load_balancers) {
  std::optional<AgentsView> sum;
  try {
    const auto json = nlohmann::json::parse(status);
    for (const auto& row : json.at("load_balancers")) {
      const auto is_this = [&](const Endpoint& tried) { return tried.to_string() == row.at("lb").get<std::string>(); };
      if (std::ranges::none_of(load_balancers, is_this)) {
        continue;
      }
      AgentsView& view = sum ? *sum : sum.emplace();
      view.answered += row.at("answered").get<std::uint64_t>();
      view.mismatched += row.at("mismatched").get<std::uint64_t>();
      view.same_node_answered += row.at("same_node_answered").get<std::uint64_t>();
      // Of several, the worst.
      if (!row.at("state").is_null() && view.state != "active") {
        view.state = row.at("state").get<std::string>();
      }
    }
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  return sum;
}

}  // namespace

std::optional<AgentsView> agents_view(const std::string& before, const std::string& after,
                                      const std::vector<Endpoint>& load_balancers) {
  auto view = counted(after, load_balancers);
  if (view) {
    const AgentsView start = counted(before, load_balancers).value_or(AgentsView{});
    view->answered -= std::min(view->answered, start.answered);
    view->mismatched -= std::min(view->mismatched, start.mismatched);
    view->same_node_answered -= std::min(view->same_node_answered, start.same_node_answered);
  }
  return view;
}

std::string render_verification(const VerifyReport& report) {
  const Verification all = Verification::of(report.tried);
  std::string text = report.load_balancer + ", " + counts(all) + "\n";
  const auto addresses = by_address(report.tried);
  if (addresses.size() > 1) {
    for (const auto& [address, found] : addresses) {
      text += "  " + address.to_string() + ", " + counts(found) + "\n";
    }
  }
  text += report.agent ? what_the_agent_counted(*report.agent) : "";
  return text + what_it_means(all, report.targets) + "\n";
}

std::string verification_json(const VerifyReport& report) {
  const Verification all = Verification::of(report.tried);
  nlohmann::ordered_json json{{"load_balancer", report.load_balancer}};
  json.update(to_json(all));
  json["addresses"] = nlohmann::ordered_json::array();
  for (const auto& [address, found] : by_address(report.tried)) {
    nlohmann::ordered_json row{{"address", address.to_string()}};
    row.update(to_json(found));
    json["addresses"].push_back(std::move(row));
  }
  json["agent"] = nullptr;
  if (report.agent) {
    json["agent"] = {{"answered", report.agent->answered},
                     {"mismatched", report.agent->mismatched},
                     {"same_node_answered", report.agent->same_node_answered},
                     {"state", nullptr}};
    if (!report.agent->state.empty()) {
      json["agent"]["state"] = report.agent->state;
    }
  }
  json["targets"] = nullptr;
  json["connections_needed"] = nullptr;
  if (report.targets) {
    json["targets"] = *report.targets;
    json["connections_needed"] = connections_needed(*report.targets);
  }
  // A host name may be anything that was typed.
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

int run_verify(const std::vector<std::string>& arguments) {
  Options options;
  CLI::App app{
      "Opens TCP connections to a load balancer, each from a port of its own, and says how many were answered. Needs "
      "no "
      "rights; run it in the pod that fails. Exit status: 0 all answered, 1 not, 2 could not try.",
      "hairpind verify"};
  app.add_option("LB", options.load_balancer,
                 "ADDR[:PORT], [IPV6]:PORT or HOST[:PORT]; the port is 443 if none is given")
      ->required();
  app.add_option("--count", options.count, "How many connections")
      ->check(CLI::Range(1U, 100000U))
      ->capture_default_str();
  app.add_option("--timeout", options.timeout, "Seconds to wait for each handshake")
      ->check([](const std::string& text) { return std::isnan(std::strtod(text.c_str(), nullptr)) ? "no number" : ""; })
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str();
  app.add_option(
         "--targets", options.targets,
         "How many targets the load balancer picks from: then it is said whether all being answered may be luck")
      ->check(CLI::Range(1U, 1000000U));
  app.add_option("--listen", options.listen,
                 "ADDR:PORT that the agent on this node listens on: if one answers, what it counts is told, too")
      ->envname("HAIRPIND_LISTEN")
      ->capture_default_str();
  app.add_option("-o,--output", options.output, "table or json")
      ->check(CLI::IsMember({"table", "json"}))
      ->capture_default_str();
  if (const auto done = read_arguments(app, arguments)) {
    return *done;
  }
  return verify(options);
}

}  // namespace hairpind
