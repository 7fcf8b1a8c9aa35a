// Charts: bars of statuses, error ratios on a logarithmic scale, histograms and heat maps. Each has a text alternative.

import { h, replace, s } from "./dom.js";
import { data, number } from "./data.js";
import { formatCount, formatNumber, plural } from "./words.js";

// Upper edges of all histogram bins but the last: decades for the elements of a tensor. Results have half decades, because
// most results conform.
const DECADES = Array.from({ length: 15 }, (_, place) => 10 ** (place - 2));
const HALF_DECADES = Array.from({ length: 15 }, (_, place) => 10 ** ((place - 6) / 2));
const NOT_FINITE = 16;

function describeBin(edges, bin) {
  if (bin === NOT_FINITE) return "not finite";
  if (bin === 0) return `up to ${formatNumber(edges[0])}`;
  if (bin === edges.length) return `more than ${formatNumber(edges.at(-1))}`;
  return `${formatNumber(edges[bin - 1])} to ${formatNumber(edges[bin])}`;
}

// A bar with the shares of the statuses.
export function bar(counts, total) {
  const parts = [...new Set(["pass", "known", ...data.statuses.filter((name) => !data.not_run.includes(name)), ...data.statuses])]
    .filter((name) => counts[name]);
  return h("span.bar", { "aria-hidden": "true" }, parts.map((name) =>
    h(`span.s-${name}`, { "width%": (100 * counts[name]) / total, title: `${formatCount(counts[name])} ${name}` })));
}

// A bar for an error ratio from 1e-3 to 1e3, on a logarithmic scale. The line in the middle is the budget.
export function meter(errorRatio) {
  if (errorRatio === null || errorRatio === undefined || Number.isNaN(errorRatio)) return null;
  const share = errorRatio > 0 ? (Math.log10(errorRatio) + 3) / 6 : 0;
  const width = 100 * Math.min(1, Math.max(0.02, share));
  return h(`span.meter${errorRatio > 1 ? ".over" : ""}`, { "aria-hidden": "true" }, h("span", { "width%": width }));
}

// A histogram with the count above each bar. Bars up to the budget are blue.
function bars(counts, edges, label, unit) {
  const [width, height, base] = [26, 96, 130];
  const within = edges.indexOf(1) + 1;
  const most = Math.max(...counts, 1);
  const size = `0 0 ${width * counts.length + 12} ${base + 20}`;
  const picture = s("svg.chart", { viewBox: size, role: "img", "aria-label": label });
  counts.forEach((count, bin) => {
    // The scale is logarithmic, so that a single element among millions is visible.
    const barHeight = count ? Math.max(3, (height * Math.log(count + 1)) / Math.log(most + 1)) : 0;
    const colour = bin === NOT_FINITE ? "nonfinite" : bin < within ? "within" : "beyond";
    const x = 4 + bin * width;
    picture.append(
      s(`rect.${colour}`, { x: x + 2, y: base - barHeight, width: width - 4, height: barHeight, rx: 2 },
        s("title", `${describeBin(edges, bin)}: ${plural(count, unit)}`)),
      s("text.count", { x: x + width / 2, y: base - barHeight - 4 }, count ? shortCount(count) : ""));
  });
  edges.forEach((edge, place) => {
    const power = Math.log10(edge);
    if (power % (edges === DECADES ? 2 : 1)) return;
    const x = 4 + (place + 1) * width;
    picture.append(s("line.tick", { x1: x, x2: x, y1: base, y2: base + 4 }),
      s("text.axis", { x, y: base + 16 }, power === 0 ? "1" : `1e${power}`));
  });
  if (counts.length > NOT_FINITE) picture.append(s("text.axis", { x: 4 + (NOT_FINITE + 0.5) * width, y: base + 16 }, "NaN, ∞"));
  const line = 4 + within * width;
  picture.append(s("line.axisline", { x1: 4, x2: 4 + width * counts.length, y1: base, y2: base }),
    s("line.budget", { x1: line, x2: line, y1: 2, y2: base }),
    s("text.budget", { x: line - 5, y: 11 }, "budget"));
  return picture;
}

const shortCount = (count) => (count < 1e4 ? String(count) : `${(count / 1e3).toPrecision(3)}k`);

// The histogram of |deviation| / budget of a tensor's elements.
export function histogram(evidence) {
  const counts = [...evidence.histogram, ...(evidence.not_finite ? [evidence.not_finite] : [])];
  const within = DECADES.indexOf(1) + 1;
  const beyond = counts.slice(within).reduce((sum, count) => sum + count, 0);
  const all = counts.reduce((sum, count) => sum + count, 0);
  const label = `Histogram of |deviation| / budget: ${formatCount(beyond)} of ${plural(all, "element")} above the budget`;
  return h("figure", bars(counts, DECADES, label, "element"),
    h("figcaption", `|deviation| / budget of each element: ${formatCount(beyond)} of ${formatCount(all)} above the budget`));
}

// The histogram of the error ratios of several results.
export function spread(errorRatios) {
  const counts = new Array(16).fill(0);
  const compared = errorRatios.filter((each) => each !== null);
  for (const each of compared) {
    const bin = HALF_DECADES.findIndex((edge) => each <= edge);
    counts[bin < 0 ? 15 : bin]++;
  }
  const beyond = compared.filter((each) => each > 1).length;
  const label = `Histogram of the error ratio: ${formatCount(beyond)} of ${plural(compared.length, "result")} above the budget`;
  return h("figure", bars(counts, HALF_DECADES, label, "result"), h("figcaption", "Error ratio of each compared result"));
}

// Error ratios over runs or releases, from 1e-3 to 10 on a logarithmic scale. A point has its place among the labels, the
// largest error ratio (a dot or a square), the median (a tick) and a title.
export function errorRatioLine(name, labels, points) {
  const [top, base] = [10, 74];
  const step = Math.max(46, 6 * Math.max(...labels.map((text) => text.length)) + 12);
  const [xOf, width] = [(at) => step / 2 + at * step, labels.length * step];
  const yOf = (value) => base - ((base - top) * Math.min(4, Math.max(0, Math.log10(Math.max(value, 1e-9)) + 3))) / 4;
  const compared = points.filter((point) => point.largest !== null);
  const spoken = compared.map((point) => `${formatNumber(point.largest)} in ${labels[point.at]}`).join(", ") || "no data";
  const picture = s("svg.trendline", { viewBox: `0 0 ${width} 92`, width, role: "img", "aria-label": `${name}: largest error ratio ${spoken}` },
    s("line.budget", { x1: 0, x2: width, y1: yOf(1), y2: yOf(1) }),
    s("line.axisline", { x1: 0, x2: width, y1: base, y2: base }),
    compared.length > 1 && s("polyline.line", { points: compared.map((point) => `${xOf(point.at)},${yOf(point.largest)}`).join(" ") }));
  for (const point of points) {
    const x = xOf(point.at);
    picture.append(s("text.axis", { x, y: base + 14 }, labels[point.at]));
    if (point.largest === null) {
      picture.append(s("text.axis", { x, y: base - 4 }, "no data"));
      continue;
    }
    const [y, colour, title] = [yOf(point.largest), point.largest > 1 ? "beyond" : "within", s("title", point.title)];
    picture.append(s("line.tick", { x1: x - 5, x2: x + 5, y1: yOf(point.median), y2: yOf(point.median) }),
      point.square ? s(`rect.${colour}`, { x: x - 5, y: y - 5, width: 10, height: 10 }, title) : s(`circle.${colour}`, { cx: x, cy: y, r: 4 }, title));
  }
  return picture;
}

// The largest error ratio at each position of a tensor.
export function heatmap(evidence) {
  const lines = evidence.map ?? [];
  const [high, wide] = [lines.length, lines[0]?.length ?? 0];
  if (!wide) return h("p.none", "no data");
  const [down, across] = evidence.map_axes;
  const [rows, columns] = evidence.map_of;
  const side = Math.max(6, Math.min(24, Math.floor(560 / wide), Math.floor(400 / high)));
  const top = number(evidence.map_top);
  const edges = [0.01, 0.1, 1, ...Array.from({ length: 12 }, (_, place) => top ** ((place + 1) / 13))];
  const label = `Heat map of the error ratio: ${down || "one row"} down, ${across} across, ${rows} by ${columns}`;
  const picture = s("svg.heat", { viewBox: `0 0 ${wide * side} ${high * side}`, width: wide * side, role: "img", "aria-label": label });
  const readout = h("output.readout", "\u00a0");
  lines.forEach((line, y) => [...line].forEach((digit, x) => {
    const bin = digit === "x" ? NOT_FINITE : parseInt(digit, 16);
    picture.append(s(`rect.b${bin}`, { x: x * side, y: y * side, width: side, height: side, "data-x": x, "data-y": y, "data-bin": bin }));
  }));
  const position = (name, place, shown, all) => {
    const first = Math.floor((place * all) / shown);
    const last = Math.ceil(((place + 1) * all) / shown) - 1;
    return `${name} ${first === last || all <= shown ? first : `${first}–${last}`}`;
  };
  picture.addEventListener("pointermove", (event) => {
    const { x, y, bin } = event.target.dataset ?? {};
    if (bin === undefined) return;
    const place = [down && position(down, Number(y), high, rows), position(across, Number(x), wide, columns)].filter(Boolean);
    const range = Number(bin) === 15 ? `${formatNumber(edges[14])} to ${formatNumber(top)}` : describeBin(edges, Number(bin));
    replace(readout, `${place.join(", ")}: error ratio ${range}`);
  });
  const pooled = rows > high || columns > wide ? " A square covers several positions and shows the largest error ratio." : "";
  return h("figure.heatbox",
    h("div.heatgrid", h("span.down", down ? `${down} ↓` : ""), h("span.across", `${across} →`), h("div.heatscroll", picture)),
    scale(top, lines.some((line) => line.includes("x"))), readout,
    h("figcaption", "Largest error ratio at each position, over the rows of the batch.", pooled));
}

// The colour scale of a heat map.
function scale(top, hasNotFinite) {
  const steps = Array.from({ length: 16 }, (_, bin) => s(`rect.b${bin}`, { x: bin * 14, y: 0, width: 14, height: 10 }));
  const texts = [[0, "0"], [3, "1 = budget"], [16, formatNumber(top)]].map(([bin, text]) => s("text.axis", { x: bin * 14, y: 22 }, text));
  const notFinite = hasNotFinite && [s("rect.b16", { x: 250, y: 0, width: 14, height: 10 }), s("text.axis", { x: 257, y: 22 }, "NaN, ∞")];
  return s("svg.scale", { viewBox: "-14 0 296 26", width: 296, "aria-hidden": "true" }, steps, texts, notFinite);
}
