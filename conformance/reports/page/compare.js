// The comparison with an earlier run.

import { h } from "./dom.js";
import { data, number } from "./data.js";
import { to } from "./state.js";
import { crumbs, errorRatioText, scroll } from "./parts.js";
import { formatCount, formatNumber, plural } from "./words.js";

const SHOWN_ROWS = 500;

export function compare() {
  const found = data.comparison;
  if (!found) {
    return [crumbs(["Comparison"]), h("h1", "no data"),
      h("p.none", "This page shows a single run. To compare two runs: conformance compare old.jsonl new.jsonl --html DIR")];
  }
  const counts = Object.entries(found.counts).filter(([, count]) => count);
  return [
    crumbs(["Comparison"]),
    h("h1", "What changed"),
    h("p.lead", h("code", found.old.path), " → ", h("code", found.new.path)),
    [["old", found.old], ["new", found.new]].map(([which, run]) => [
      !run.complete && h("p.incomplete", `The ${which} run is INCOMPLETE.`), run.invalid.length > 0 && h("p.incomplete", `The ${which} run is INVALID.`)]),
    [["old", found.implementations.only_old], ["new", found.implementations.only_new]].map(([which, names]) =>
      names.length > 0 && h("p", `Only in the ${which} run: ${names.join(", ")}`)),
    found.failed_on.length > 0 && h("p.incomplete", `FAILED on ${found.failed_on.join("; ")}`),
    h("ul.tally", { "aria-label": "Rows by kind of change" }, counts.map(([kind, count]) =>
      h(`li.chip.s-${statusOfKind(kind)}`, h("b", formatCount(count)), ` ${kind}`))),
    changes(found.changes),
    drifts(found.error_ratio),
    lostPower(found.lost_power),
    h("section", h("h2", "Changed provenance"), found.provenance.length
      ? scroll("Changed provenance", h("table.list", headings("what", "old", "new"), h("tbody", found.provenance.map((fact) =>
        h("tr", h("th", { scope: "row" }, fact.what), h("td", fact.old), h("td", fact.new))))))
      : h("p.none", "none")),
  ];
}

// The status that gives a kind of change its colour.
function statusOfKind(kind) {
  if (/fail|lost/.test(kind)) return "fail";
  return ["fixed", "new-supported"].includes(kind) ? "pass" : "unsupported";
}

const headings = (...titles) => h("thead", h("tr", titles.map((text) => h("th", { scope: "col" }, text))));

function changes(all) {
  if (!all.length) return h("p", "No status changed.");
  const lines = all.slice(0, SHOWN_ROWS).map((one) => {
    const [name, id] = [one.implementation ?? "", one.case ?? ""];
    return h("tr", h("td.kind", one.kind), h("td", name), h("th.case", { scope: "row" }, one.new ? h("a", { href: to("result", [name, id]) }, id) : id),
      h("td.kind", `${one.old?.status ?? "absent"} → ${one.new?.status ?? "absent"}`), h("td.reason", one.new?.reason ?? one.old?.reason ?? ""));
  });
  return h("section", h("h2", plural(all.length, "changed row")),
    scroll("Changed rows", h("table.list", headings("change", "implementation", "case", "status", "reason"), h("tbody", lines))),
    all.length > SHOWN_ROWS && h("p.small", `and ${formatCount(all.length - SHOWN_ROWS)} more; conformance compare --json lists all`));
}

function drifts(all) {
  const moved = all.filter((each) => number(each.p99_ratio) !== 1).slice(0, SHOWN_ROWS);
  if (!moved.length) return null;
  return h("section", h("h2", "Error ratio of cases that pass in both runs"), scroll("Error ratio", h("table.list",
    headings("implementation", "tensor", "cases", "median", "99th percentile", "ratio"),
    h("tbody", moved.map((each) => h("tr", h("td", each.implementation), h("th", { scope: "row" }, h("code", each.tensor)), h("td.num", formatCount(each.cases)),
      ["median", "p99"].map((name) => h("td", each[name].map((value, place) => [place ? " → " : "", errorRatioText(number(value))]))),
      h("td.num", `${formatNumber(number(each.p99_ratio))}x`)))))));
}

function lostPower(power) {
  const names = Object.entries(power);
  if (!names.length) return null;
  return h("section", h("h2", "Defects that are no longer detected"), h("ul.plain", names.map(([name, ids]) =>
    h("li", name, ": ", ids.map((id) => [h("code", id), " "])))));
}
