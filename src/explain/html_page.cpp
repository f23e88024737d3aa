// SPDX-License-Identifier: Apache-2.0
#include "hairpind/explain/html_page.hpp"
#include "hairpind/core/printable.hpp"

#include <algorithm>

#include "html_text.hpp"
#include "words.hpp"

namespace hairpind {
namespace {

// A page that nobody can scroll through helps nobody; json has all.
constexpr std::size_t kMostProblems = 50;

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--soft:#59636e;--line:#d1d9e0;--card:#f6f8fa;
--bad:#b3261e;--warn:#8a5a00;--good:#1a7f37;--calm:#0b57a4}
@media (prefers-color-scheme:dark){:root{--bg:#0f1318;--fg:#e6e9ed;--soft:#9aa4af;--line:#333b45;--card:#181e25;
--bad:#ff8a80;--warn:#e6b450;--good:#6fd08c;--calm:#7db7f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,"DejaVu Sans",sans-serif}
main{max-width:1180px;margin:0 auto;padding:24px 20px 48px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:20px;margin:40px 0 10px;line-height:1.3;overflow-wrap:anywhere}
h3{font-size:16px;margin:26px 0 8px;overflow-wrap:anywhere}h4{font-size:14px;margin:18px 0 6px;color:var(--soft)}
p{margin:6px 0;overflow-wrap:anywhere}.soft{color:var(--soft)}
code,.mono{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:13px;overflow-wrap:break-word}
.hex{overflow-wrap:anywhere}
.cards{display:flex;flex-wrap:wrap;gap:10px;margin:18px 0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 16px;min-width:110px}
.card b{display:block;font-size:24px;line-height:1.2}
.scroll{overflow-x:auto;margin:8px 0}
table{border-collapse:collapse;width:100%;font-size:14px}
th{color:var(--soft);font-weight:600;text-align:left}
th,td{padding:6px 18px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.nowrap,th.nowrap{white-space:nowrap}td.number,th.number{text-align:right}
td.wide{min-width:230px}.compact{width:auto}
.pill{display:inline-block;border:1px solid currentColor;border-radius:10px;padding:0 9px;font-size:13px;font-weight:600}
.active{color:var(--bad)}.dormant,.quiet{color:var(--warn)}.exposed{color:var(--calm)}.fixed{color:var(--good)}
.bad{color:var(--bad)}.good{color:var(--good)}
.fix{background:var(--card);border-left:4px solid var(--good);padding:8px 14px;margin:12px 0;border-radius:0 6px 6px 0}
article{border:1px solid var(--line);border-radius:8px;padding:2px 18px 14px;margin:16px 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:8px 0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}
.ladders{display:flex;flex-wrap:wrap;gap:16px}
figure{flex:1 1 440px;margin:8px 0;min-width:0;overflow-x:auto}
figcaption{font-weight:600;font-size:14px;margin-bottom:4px}
svg{display:block;width:100%;height:auto}.ladder{min-width:430px;max-width:760px}.timeline{min-width:860px}
svg text{font-family:system-ui,"DejaVu Sans",sans-serif;fill:var(--fg)}svg .soft{fill:var(--soft)}
svg .bar{stroke:var(--line);stroke-width:2}svg .arrow{stroke:currentColor;stroke-width:2;fill:none}
svg .head{fill:currentColor}svg .label{fill:currentColor;font-size:13px}svg .badge{fill:currentColor}
svg .badge-text{fill:var(--bg);font-size:11px;font-weight:700}svg .span{fill:currentColor;opacity:.35}
svg .mark{fill:currentColor;stroke:var(--bg);stroke-width:1.5}svg .plain{color:var(--fg)}
@media (max-width:600px){main{padding:16px 12px}dl{grid-template-columns:1fr}dd{margin-bottom:6px}
article{padding:2px 12px 10px}}
@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--soft:#444;--line:#bbb;--card:#f4f4f4;--bad:#a11;--warn:#740;
--good:#060;--calm:#036}body{font-size:11pt}main{max-width:none;padding:0}article,figure,tr,.fix{break-inside:avoid}
.scroll,figure{overflow:visible}.ladder,.timeline{min-width:0}h2,h3,h4{break-after:avoid}}
)css";

std::vector<std::size_t> chosen(const ClusterState& state, std::string_view incident) {
  std::vector<std::size_t> problems;
  for (std::size_t i = 0; i < state.problems.size(); i++) {
    if (std::ranges::any_of(state.problems[i].incidents, [&](std::size_t number) {
          return incident.empty() || state.incidents[number].alert.incident == incident;
        })) {
      problems.push_back(i);
    }
  }
  return problems;
}

}  // namespace

std::string element(std::string_view tag, std::string_view text, std::string_view class_name) {
  std::string result = "<" + std::string(tag);
  result += class_name.empty() ? "" : " class=\"" + std::string(class_name) + "\"";
  return result + ">" + markup(text) + "</" + std::string(tag) + ">";
}

std::string html_page(const ClusterState& state, std::string_view incident) {
  const std::vector<std::size_t> problems = chosen(state, incident);
  // Should escaping ever fail, the browser still loads and runs nothing.
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>hairpind: connections answered past their load "
      "balancer</title>\n<style>";
  page.append(kStyle).append("</style>\n</head>\n<body>\n<main>\n");
  page += summary_section(state, problems);
  for (std::size_t i = 0; i < std::min(problems.size(), kMostProblems); i++) {
    page += problem_section(state, problems[i], incident);
  }
  if (problems.size() > kMostProblems) {
    page += element("p",
                    "and " + counted(problems.size() - kMostProblems, "more problem") +
                        "; hairpind explain -o json has all of them",
                    "soft");
  }
  return page + "</main>\n</body>\n</html>\n";
}

}  // namespace hairpind
