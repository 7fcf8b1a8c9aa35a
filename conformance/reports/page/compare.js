// What changed from an earlier run to this one.

import { h } from "./dom.js";
import { data, number } from "./data.js";
import { to } from "./state.js";
import { crumbs, errorRatioText, scroll } from "./parts.js";
import { digits, many, plural } from "./words.js";

const AT_MOST = 500;

export function compare() {
  const found = data.comparison;
  if (!found) return [crumbs(["Compared"]), h("h1", "no data"), h("p.none", "This page was written of one run alone: conformance compare old.jsonl new.jsonl --html DIR writes one of two.")];
  const counts = Object.entries(found.counts).filter(([, count]) => count);
  return [
    crumbs(["Compared"]),
    h("h1", "What changed"),
    h("p.lead", h("code", found.old.path), " → ", h("code", found.new.path)),
    [["old", found.old], ["new", found.new]].map(([which, run]) => [
      !run.complete && h("p.incomplete", `The ${which} run is INCOMPLETE.`), run.invalid.length > 0 && h("p.incomplete", `The ${which} run is INVALID.`)]),
    found.failed_on.length > 0 && h("p.incomplete", `FAILED on ${found.failed_on.join("; ")}`),
    h("ul.tally", { "aria-label": "Rows by what became of them" }, counts.map(([kind, count]) =>
      h(`li.chip.s-${/fail|lost|power/.test(kind) ? "fail" : /fixed|supported/.test(kind) && kind !== "new-unsupported" ? "pass" : "unsupported"}`, h("b", many(count)), ` ${kind}`))),
    changes(found.changes),
    drifts(found.error_ratio),
    lost(found.lost_power),
    h("section", h("h2", "Changed provenance"), found.provenance.length
      ? scroll("Changed provenance", h("table.list", headings("what", "old", "new"), h("tbody", found.provenance.map((fact) =>
        h("tr", h("th", { scope: "row" }, fact.what), h("td", fact.old), h("td", fact.new))))))
      : h("p.none", "none")),
  ];
}

const headings = (...titles) => h("thead", h("tr", titles.map((text) => h("th", { scope: "col" }, text))));

function changes(all) {
  if (!all.length) return h("p", "Every row is as it was.");
  const lines = all.slice(0, AT_MOST).map((one) => {
    const [name, id] = [one.implementation ?? "", one.case ?? ""];
    return h("tr", h("td.kind", one.kind), h("td", name), h("th.case", { scope: "row" }, one.new ? h("a", { href: to("result", [name, id]) }, id) : id),
      h("td.kind", `${one.old?.status ?? "absent"} → ${one.new?.status ?? "absent"}`), h("td.reason", one.new?.reason ?? one.old?.reason ?? ""));
  });
  return h("section", h("h2", plural(all.length, "changed row")),
    scroll("Changed rows", h("table.list", headings("what", "implementation", "case", "status", "reason"), h("tbody", lines))),
    all.length > AT_MOST && h("p.small", `and ${many(all.length - AT_MOST)} more: conformance compare --json names all`));
}

function drifts(all) {
  const moved = all.filter((each) => number(each.p99_ratio) !== 1).slice(0, AT_MOST);
  if (!moved.length) return null;
  return h("section", h("h2", "Error ratio of cases that pass in both runs"), scroll("Error ratio", h("table.list",
    headings("implementation", "tensor", "cases", "median", "99th percentile", "grew by"),
    h("tbody", moved.map((each) => h("tr", h("td", each.implementation), h("th", { scope: "row" }, h("code", each.tensor)), h("td.num", many(each.cases)),
      ["median", "p99"].map((name) => h("td", each[name].map((value, place) => [place ? " → " : "", errorRatioText(number(value))]))),
      h("td.num", `${digits(number(each.p99_ratio))}x`)))))));
}

function lost(power) {
  const names = Object.entries(power);
  if (!names.length) return null;
  return h("section", h("h2", "Defects that are no longer detected"), h("ul.plain", names.map(([name, ids]) =>
    h("li", name, ": ", ids.map((id) => [h("code", id), " "])))));
}
