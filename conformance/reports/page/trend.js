// The view of several runs: error ratios and conforming cases of each implementation, the earliest run first.

import { h } from "./dom.js";
import { data, number } from "./data.js";
import { family } from "./model.js";
import { state, to } from "./state.js";
import { errorRatioLine } from "./charts.js";
import { crumbs, scroll } from "./parts.js";
import { formatCount, formatNumber, plural } from "./words.js";

export function trend() {
  if (!data.trend) {
    return [crumbs(["Trend"]), h("h1", "no data"),
      h("p.none", "This page shows a single run. To show several runs: conformance trend runs/*.jsonl --html DIR")];
  }
  const { runs, implementations } = data.trend;
  const { params } = state();
  const searched = (params.get("q") ?? "").toLowerCase().split(/\s+/);
  const names = Object.keys(implementations).filter((name) =>
    (!params.get("family") || family(name) === params.get("family")) && searched.every((word) => name.toLowerCase().includes(word)));
  return [
    crumbs(["Trend"]),
    h("h1", `Trend over ${plural(runs.length, "run")}`),
    scroll("Implementations over runs", h("table.list.trend",
      h("thead", h("tr", ["implementation", "error ratio of cases that pass", "conforming cases by run"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", names.map((name) => series(name, implementations[name], runs))))),
    h("p.small", "Dot: largest error ratio of a run. Tick: median. Dashed line: budget. A square instead of a dot: the versions of packages changed."),
    h("section", h("h2", "Runs"), h("ol.plain", runs.map((run) => h("li", h("code", run.path), run.began ? ` ${run.began}` : "", ` suite ${run.suite ?? "no data"}`,
      !run.complete && h("b", " INCOMPLETE"), run.invalid.length > 0 && h("b", " INVALID"))))),
  ];
}

function series(name, points, runs) {
  return h("tr",
    h("th", { scope: "row" }, h("a", { href: to("implementation", [points.at(-1).name]) }, name)),
    h("td", chart(name, points, runs.length)),
    h("td", h("ol.runs", points.map((point) => h("li", conforming(point))))));
}

const conforming = (point) => !point.supported ? "no data" : `${formatCount(point.passed)}/${formatCount(point.supported)}${point.counts.known ? ` ~${formatCount(point.counts.known)}` : ""}`;

function chart(name, points, runs) {
  return errorRatioLine(name, Array.from({ length: runs }, (_, run) => `${run + 1}`), points.map((point, place) => {
    const [top, median] = [number(point.error_ratio.largest), number(point.error_ratio.median)];
    const versions = Object.entries(point.versions).map(([which, version]) => `${which} ${version}`).join(", ");
    const square = place > 0 && JSON.stringify(point.versions) !== JSON.stringify(points[place - 1].versions);
    return { at: point.run, largest: top, median, square, title: `${versions}: ${conforming(point)}, largest error ratio ${formatNumber(top)}` };
  }));
}
