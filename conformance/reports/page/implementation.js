// The view of one implementation: features, error ratios, detected defects, provenance, deviations.

import { breakable, h } from "./dom.js";
import { data } from "./data.js";
import { state, to } from "./state.js";
import { byFeature, caseId, cell, divergenceOf, dtypeOf, filtered, largest, power, reasonOf, status } from "./model.js";
import { bar, meter, spread } from "./charts.js";
import { filters } from "./filters.js";
import { crumbs, facts, errorRatioText, resultLink, scroll, tile, upstreamLink } from "./parts.js";
import { responseMap } from "./responses.js";
import { describeCell, formatCount, plural, verdict } from "./words.js";

export function implementation(name) {
  const place = data.implementations.findIndex((each) => each.name === name);
  if (place < 0) return [crumbs([name]), h("h1", "no data"), h("p.none", `These results have no implementation named ${name}.`)];
  const about = data.implementations[place];
  const rows = filtered(state().params)[place];
  const all = cell(rows);
  return [
    crumbs([name]),
    h("h1", breakable(name)),
    h("p.verdict", bar(all.counts, rows.length), h("a", { href: to("cases", [name, ""]) }, verdict(all))),
    filters(["family"]),
    h("div.columns",
      h("section", h("h2", "By feature"), featureTable(name, rows)),
      h("div",
        h("section", h("h2", "Error ratio"), errorRatioTable(rows)),
        detection(about, rows),
        h("section", h("h2", "Provenance"), facts({ ...about.versions, ...about.description }), cpuSeconds(about)))),
    deviations(about, rows),
    reasons(rows),
  ];
}

function featureTable(name, rows) {
  const groups = byFeature(rows);
  const lines = data.feature_names.map((feature) => [feature, cell(groups[feature], feature), largest(groups[feature], feature)]);
  return scroll(`Features of ${name}`, h("table.list",
    h("thead", h("tr", ["feature", "conforms", "", "largest error ratio"].map((text) => h("th", { scope: "col" }, text || h("span.screen-reader", "counts"))))),
    h("tbody", lines.map(([feature, each, ratio]) => h("tr", h("th", { scope: "row" }, feature), h("td.feature", tile(name, feature, each)),
      h("td", describeCell(each)), h("td.error-ratio", meter(ratio), errorRatioText(ratio)))))));
}

function errorRatioTable(rows) {
  const compared = data.dtype_names.map((dtype) => [dtype, rows.filter((row) => dtypeOf(row) === dtype)]);
  return [spread(rows.map((row) => (status(row) === "known" ? null : data.rows.error_ratio[row]))),
    h("table.list", h("tbody", compared.map(([dtype, some]) => h("tr", h("th", { scope: "row" }, dtype),
      h("td.error-ratio", meter(largest(some)), errorRatioText(largest(some)))))))];
}

function detection(about, rows) {
  const detected = power(rows);
  const missed = about.missed ?? [];
  return h("section", h("h2", "Defects that its passed cases detect"),
    h("p", detected === null ? "no data" : `${detected} of ${data.defects} defects${about.measured && `, ${about.measured}`}`),
    missed.length > 0 && h("details", h("summary", `${plural(missed.length, "defect")} that no passed case detects`),
      h("ul.plain", missed.map(([id, what]) => h("li", h("code", id), what ? ` an LSTM ${what}` : "")))));
}

function cpuSeconds(about) {
  const { import: imported = 0, solve = 0 } = about.seconds;
  return h("p.small", `CPU time of the implementation: ${(imported + solve).toFixed(1)} s`);
}

function deviations(about, rows) {
  const own = new Set(rows);
  const causes = data.causes.filter((each) => each.implementation === about.name && each.rows.some((row) => own.has(row)));
  const known = Object.groupBy(rows.filter(divergenceOf), (row) => divergenceOf(row).id);
  return [
    causes.length > 0 && h("section", h("h2", "Causes of its deviations"), h("ul.causes", causes.map((each) => h("li",
      h("p", h("b", plural(each.rows.length, "case")), ": ", each.what),
      Object.entries(each.facts).map(([title, text]) => h("p", title, " ", text)),
      each.responses && responseMap(each.responses),
      h("p.examples", each.defects.map((id) => [h("code", id), " "]), each.rows.slice(0, 5).map((row) => [resultLink(row, caseId(row)), " "])))))),
    Object.keys(known).length > 0 && h("section", h("h2", "Known divergences"), h("ul.causes", Object.values(known).map((some) => {
      const entry = divergenceOf(some[0]);
      return h("li", h("p", h("b", plural(some.length, "case")), ": ", entry.what ?? ""), h("p", entry.reason ?? ""),
        h("p.examples", upstreamLink(entry), entry.versions ? ` versions ${entry.versions} ` : " ", some.slice(0, 5).map((row) => [resultLink(row, caseId(row)), " "])));
    }))),
  ];
}

function reasons(rows) {
  const some = rows.filter((row) => data.not_run.includes(status(row)));
  const groups = Object.entries(Object.groupBy(some, reasonOf)).sort((one, other) => other[1].length - one[1].length);
  if (!groups.length) return null;
  return h("section", h("h2", "Unsupported or not run"), scroll("Reasons", h("table.list",
    h("tbody", groups.map(([reason, each]) => h("tr", h("td.num", formatCount(each.length)), h("td", reason),
      h("td", each.slice(0, 3).map((row) => [resultLink(row, caseId(row)), " "]))))))));
}
