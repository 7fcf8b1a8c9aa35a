// The view of several runs: error ratios and conforming cases of each implementation, the earliest run first.

import { h, s } from "./dom.js";
import { data, number } from "./data.js";
import { family } from "./model.js";
import { state, to } from "./state.js";
import { crumbs, scroll } from "./parts.js";
import { formatCount, formatNumber, plural } from "./words.js";

const STEP = 46;
const [TOP, BASE] = [10, 74];

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

// Vertical position of an error ratio from 1e-3 to 10, on a logarithmic scale.
const yOf = (errorRatio) => BASE - ((BASE - TOP) * Math.min(4, Math.max(0, Math.log10(Math.max(errorRatio, 1e-9)) + 3))) / 4;
const xOf = (run) => 24 + run * STEP;

function chart(name, points, runs) {
  const drawn = points.map((point) => ({ ...point, largest: number(point.error_ratio.largest), median: number(point.error_ratio.median) }));
  const compared = drawn.filter((point) => point.largest !== null);
  const label = `${name}: largest error ratio ${compared.map((point) => `${formatNumber(point.largest)} in run ${point.run + 1}`).join(", ") || "no data"}`;
  const picture = s("svg.trendline", { viewBox: `0 0 ${xOf(runs)} 92`, width: xOf(runs), role: "img", "aria-label": label },
    s("line.budget", { x1: 0, x2: xOf(runs), y1: yOf(1), y2: yOf(1) }),
    s("line.axisline", { x1: 0, x2: xOf(runs), y1: BASE, y2: BASE }),
    compared.length > 1 && s("polyline.line", { points: compared.map((point) => `${xOf(point.run)},${yOf(point.largest)}`).join(" ") }));
  drawn.forEach((point, place) => {
    const x = xOf(point.run);
    picture.append(s("text.axis", { x, y: BASE + 14 }, point.run + 1));
    if (point.largest === null) {
      picture.append(s("text.axis", { x, y: BASE - 4 }, "no data"));
      return;
    }
    const moved = place > 0 && JSON.stringify(point.versions) !== JSON.stringify(drawn[place - 1].versions);
    const versions = Object.entries(point.versions).map(([which, version]) => `${which} ${version}`).join(", ");
    const colour = point.largest > 1 ? "beyond" : "within";
    const [y, title] = [yOf(point.largest), s("title", `${versions}: ${conforming(point)}, largest error ratio ${formatNumber(point.largest)}`)];
    picture.append(s("line.tick", { x1: x - 5, x2: x + 5, y1: yOf(point.median), y2: yOf(point.median) }),
      moved ? s(`rect.${colour}`, { x: x - 5, y: y - 5, width: 10, height: 10 }, title) : s(`circle.${colour}`, { cx: x, cy: y, r: 4 }, title));
  });
  return picture;
}
