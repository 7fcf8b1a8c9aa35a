// The view of a cell (one implementation, one feature), and the view of one case on all implementations.

import { breakable, h } from "./dom.js";
import { data } from "./data.js";
import { state, to } from "./state.js";
import { bySeverity, caseId, cell, dtypeOf, featuresOf, filtered, errorRatio, nameOf, reasonOf, status } from "./model.js";
import { bar, meter, spread } from "./charts.js";
import { filters } from "./filters.js";
import { badge, crumbs, divergence, errorRatioText, resultLink, scroll } from "./parts.js";
import { describeCell, plural, verdict } from "./words.js";

const ROWS_AT_ONCE = 200;

export function cases(name, feature) {
  const place = data.implementations.findIndex((each) => each.name === name);
  const rows = (place < 0 ? [] : filtered(state().params)[place]).filter((row) => !feature || featuresOf(row).includes(feature));
  return [
    crumbs([name, to("implementation", [name])], [feature || "all cases"]),
    h("h1", breakable(name), h("span.sub", feature ? ` × ${feature}` : " all cases")),
    summary(rows, cell(rows, feature), verdict),
    filters(["family"]),
    list(rows, (row) => resultLink(row, breakable(caseId(row))), "case"),
  ];
}

export function oneCase(id) {
  const rows = filtered(state().params).flat().filter((row) => caseId(row) === id);
  return [
    crumbs([id]),
    h("h1.path", breakable(id), h("span.sub", " on all implementations")),
    summary(rows, cell(rows), describeCell),
    filters(["dtype", "tag"]),
    list(rows, (row) => resultLink(row, breakable(nameOf(row))), "implementation"),
  ];
}

function summary(rows, all, describe) {
  const errorRatios = rows.map(errorRatio);
  return [
    h("p.verdict", bar(all.counts, Math.max(1, rows.length)), describe(all)),
    errorRatios.filter((each) => each !== null).length > 1 && spread(errorRatios),
  ];
}

function list(rows, link, what) {
  if (!rows.length) return h("p.none", "no data: no result matches.");
  const ordered = [...rows].sort(bySeverity);
  const body = h("tbody");
  const more = h("button.more", { type: "button", click: showMore });
  let shown = 0;
  function showMore() {
    const next = ordered.slice(shown, shown + ROWS_AT_ONCE);
    body.append(...next.map((row) => h("tr",
      h("td", badge(status(row))), h("th.case", { scope: "row" }, link(row)), h("td", dtypeOf(row)),
      h("td.error-ratio", meter(errorRatio(row)), errorRatioText(errorRatio(row))), h("td.reason", divergence(row) ?? reasonOf(row)))));
    const first = body.rows[shown];
    if (shown) first.querySelector("a").focus();
    shown += next.length;
    more.hidden = shown >= ordered.length;
    more.textContent = `Show ${Math.min(ROWS_AT_ONCE, ordered.length - shown)} more of ${plural(ordered.length, "result")}`;
  }
  showMore();
  const titles = ["status", what, "dtype", "error ratio", "reason"];
  return [scroll("Results", h("table.list.results", h("thead", h("tr", titles.map((text) => h("th", { scope: "col" }, text)))), body)), more];
}
