// The first view: a matrix of implementations and features, then deviations, known divergences and absent implementations.

import { breakable, external, h } from "./dom.js";
import { data } from "./data.js";
import { changed, go, state, to } from "./state.js";
import { byFeature, caseId, cell, deviates, divergenceOf, family, filtered, largest, nameOf, power, reasonOf, status } from "./model.js";
import { bar, meter } from "./charts.js";
import { filters } from "./filters.js";
import { cellStatus, errorRatioText, resultLink, scroll, shortAddress, tile, upstreamLink } from "./parts.js";
import { formatCount, GLYPHS, passedOf, plural, remainder } from "./words.js";

const SHOWN_LINKS = 2;
const NUMERIC = ["gradients", "float64", "float32", "float16", "bfloat16"];

export function matrix() {
  const { params } = state();
  const groups = filtered(params);
  const lines = data.implementations.map((about, place) => summarize(about, groups[place]));
  const isFiltered = ["family", "dtype", "status", "tag", "q"].some((name) => params.get(name));
  const shown = sorted(lines.filter((each) => each.all.rows.length || !isFiltered), params.get("sort"));
  const rowCount = groups.reduce((sum, rows) => sum + rows.length, 0);
  const used = data.feature_names.filter((name) => shown.some((each) => each.cells[name].rows.length));
  const counts = isFiltered
    ? `${plural(rowCount, "result")} of ${formatCount(data.rows.case.length)} match: ${plural(shown.length, "implementation")}`
    : `${plural(data.implementations.length, "implementation")}, ${plural(data.cases.id.length, "case")}, ${plural(rowCount, "result")}`;
  return [
    h("div.top", h("h1", "Conforming cases by implementation and feature"), statusCounts(groups.flat())),
    filters([], h("p.counted", { role: "status" }, counts)),
    shown.length ? scroll("Implementations by feature", table(shown, used)) : h("p.none", "Nothing matches these filters."),
    legend(),
    causes(new Set(groups.flat())),
    divergences(groups.flat()),
    counted(),
    absent(),
  ];
}

function summarize(about, rows) {
  const groups = byFeature(rows);
  const cells = Object.fromEntries(data.feature_names.map((name) => [name, cell(groups[name], name)]));
  const known = [...new Map(rows.map(divergenceOf).filter(Boolean).map((each) => [each.id, each])).values()];
  return { about, name: about.name, rows, all: cell(rows), cells, known, errorRatio: largest(rows), power: power(rows) };
}

function sorted(lines, by) {
  if (!by) return lines;
  const descending = by.startsWith("-");
  const name = by.replace(/^-/, "");
  const value = {
    name: (each) => each.name.toLowerCase(),
    cases: (each) => each.all.deviating * 1e9 - each.all.passed,
    "error-ratio": (each) => each.errorRatio ?? -1,
    power: (each) => each.power ?? -1,
    known: (each) => each.known.length,
  }[name] ?? ((each) => (each.cells[name]?.rows.length ? each.cells[name].deviating * 1e9 + each.cells[name].known * 1e6 - each.cells[name].passed : -1e12));
  const order = (one, other) => (value(one) < value(other) ? -1 : value(one) > value(other) ? 1 : 0);
  return [...lines].sort((one, other) => (descending ? order(other, one) : order(one, other)));
}

// A heading that sorts the table. The first click sorts names ascending and figures descending, the second reverses the
// order, and the third restores the order of the file.
function heading(id, text, kind = "") {
  const current = state().params.get("sort");
  const first = id === "name" ? id : `-${id}`;
  const second = id === "name" ? "-name" : id;
  const next = current === first ? second : current === second ? "" : first;
  const sort = current === id ? "ascending" : current === `-${id}` ? "descending" : null;
  return h(`th${kind}`, { scope: "col", "aria-sort": sort },
    h("button.sort", { type: "button", "data-sort": id, click: () => go(changed({ sort: next })) }, h("span", text),
      sort && h("span.arrow", { "aria-hidden": "true" }, sort === "ascending" ? " ↑" : " ↓")));
}

function table(lines, features) {
  const head = h("tr",
    heading("name", "implementation", ".name"), heading("cases", "conforming cases", ".cases"), heading("error-ratio", "largest error ratio", ".error-ratio"),
    heading("power", "detects", ".power"), heading("known", "known divergences", ".known"),
    features.map((name) => heading(name, name, `.feature${name === NUMERIC.find((each) => features.includes(each)) ? ".edge" : ""}`)));
  const body = h("tbody", lines.map((each) => row(each, features)));
  body.addEventListener("keydown", moveFocus);
  const [first, ...rest] = body.querySelectorAll("td.feature a");
  first?.setAttribute("tabindex", "0");
  for (const link of rest) link.setAttribute("tabindex", "-1");
  // The widths are fixed, because measuring thousands of cells would take longer than everything else.
  const width = [196, 168, 92, 84, 150, ...features.map(() => 51)].reduce((sum, each) => sum + each);
  return h("table.matrix", { "width px": width }, h("caption.screen-reader", "Conforming cases by implementation and feature. Arrow keys move between cells."),
    h("thead", head), body);
}

function row(each, features) {
  const { about, all } = each;
  const versions = Object.entries(about.versions).map(([name, version]) => `${name} ${version}`).join(", ");
  const edge = NUMERIC.find((name) => features.includes(name));
  return h("tr",
    h("th.name", { scope: "row" }, h("a", { href: to("implementation", [about.name]) }, breakable(about.name)),
      h("small", versions || family(about.name))),
    h("td.cases", { "data-label": "cases" }, bar(all.counts, all.rows.length),
      h("a", { href: to("cases", [about.name, ""]) }, h(`span.glyph.t-${cellStatus(all)}`, GLYPHS[cellStatus(all)] ?? "·"), ` ${passedOf(all)}`, h("small", remainder({ ...all, known: 0 })))),
    h("td.error-ratio", { "data-label": "error ratio" }, meter(each.errorRatio), errorRatioText(each.errorRatio)),
    h("td.power", { "data-label": "detects" }, each.power === null ? h("span.none", "no data") : [`${each.power} of ${data.defects}`, about.measured && h("small", about.measured)]),
    h("td.known", { "data-label": "known" }, each.known.length ? upstreamLinks(about.name, each.known) : h("span.none", all.supported ? "none" : "no data")),
    features.map((name) => h(`td.feature.k-${cellStatus(each.cells[name])}${name === edge ? ".edge" : ""}`,
      { "data-label": name }, tile(about.name, name, each.cells[name]))));
}

// The number of known divergences and their first upstream links. The view of the implementation shows all links.
function upstreamLinks(name, entries) {
  const addresses = [...new Set(entries.map((entry) => entry.upstream).filter((address) => /^https?:/i.test(address ?? "")))];
  return [h("a", { href: to("implementation", [name]) }, h("span.t-known", GLYPHS.known), ` ${plural(entries.length, "divergence")}`),
    addresses.length > 0 && h("small", addresses.slice(0, SHOWN_LINKS).map((address, place) => [place ? ", " : "", external(address, shortAddress(address))]),
      addresses.length > SHOWN_LINKS && ` +${addresses.length - SHOWN_LINKS}`)];
}

// Moves the focus between cells with the arrow keys. Only one cell at a time can be reached with Tab.
function moveFocus(event) {
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -1e6], End: [0, 1e6] };
  const step = steps[event.key];
  const start = event.target.closest("td.feature");
  if (!step || !start || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...event.currentTarget.rows].map((each) => [...each.querySelectorAll("td.feature")]);
  let y = rows.findIndex((each) => each.includes(start));
  let x = rows[y].indexOf(start);
  const clamp = (value, length) => Math.max(0, Math.min(length - 1, value));
  event.preventDefault();
  // Cells without data have no link and are skipped.
  for (let tries = 0; tries < 1000; tries++) {
    const [nextY, nextX] = [clamp(y + step[0], rows.length), clamp(x + step[1], rows[y].length)];
    if (nextY === y && nextX === x) return;
    [y, x] = [nextY, nextX];
    const link = rows[y][x].querySelector("a");
    if (link) {
      start.querySelector("a").setAttribute("tabindex", "-1");
      link.setAttribute("tabindex", "0");
      link.focus();
      return;
    }
  }
}

// The number of results with each status. A click filters by the status.
function statusCounts(rows) {
  const { counts } = cell(rows);
  const current = state().params.get("status");
  return h("ul.tally", { "aria-label": "Results by status" }, data.statuses.filter((name) => counts[name]).map((name) =>
    h("li", h(`a.chip.s-${name}`, { href: changed({ status: current === name ? "" : name }), "aria-current": current === name ? "true" : null },
      h("span", { "aria-hidden": "true" }, GLYPHS[name]), " ", h("b", formatCount(counts[name])), ` ${name}`))));
}

function legend() {
  const entry = (name, text) => h("li", h(`span.glyph.t-${name}`, GLYPHS[name]), ` ${text}`);
  return h("div.key", h("ul",
    entry("pass", "conforms"), entry("known", "known divergence"), entry("fail", "deviates"), entry("error", "raises an error"),
    entry("crash", "crashes"), entry("timeout", "times out"), entry("unsupported", "unsupported"), entry("not-run", "not run")),
  h("p", "k/n: k of n supported cases conform; +u: unsupported. ",
    "Error ratio: largest |deviation| / rounding budget; conforms up to 1. ",
    "Detects: number of defects in the suite's catalogue that the passed cases detect."));
}

function causes(rows) {
  const groups = data.causes.map((each) => ({ ...each, shown: each.rows.filter((one) => rows.has(one)) })).filter((each) => each.shown.length);
  const diagnosed = new Set(groups.flatMap((each) => each.shown));
  const others = [...rows].filter((one) => deviates(one) && !diagnosed.has(one));
  const byName = Object.groupBy(others, nameOf);
  if (!groups.length && !others.length) return null;
  const entry = (name, some, what, ids, facts = {}) => h("li",
    h("p", h("b", plural(some.length, "case")), " of ", h("a", { href: to("implementation", [name]) }, name), ": ", what),
    Object.entries(facts).map(([title, text]) => h("p", title, " ", text)),
    h("p.examples", ids.map((id) => [h("code", id), " "]), examples(some)));
  return h("section", h("h2", "Deviations and their causes"), h("ul.causes",
    groups.map((each) => entry(each.implementation, each.shown, each.what, each.defects, each.facts)),
    Object.entries(byName).map(([name, some]) => entry(name, some, reasonOf(some[0]) || status(some[0]), []))));
}

function examples(rows) {
  const some = rows.slice(0, 3).map((one, place) => [place ? ", " : "", resultLink(one, caseId(one))]);
  const name = nameOf(rows[0]);
  return [some, rows.length > 3 ? [", ", h("a", { href: to("cases", [name, ""], { sort: "" }) }, `all cases of ${name}`)] : ""];
}

function divergences(rows) {
  const found = new Map();
  for (const one of rows) {
    const entry = divergenceOf(one);
    if (!entry) continue;
    const key = `${entry.id} ${nameOf(one)}`;
    if (!found.has(key)) found.set(key, { ...entry, name: nameOf(one), rows: [] });
    found.get(key).rows.push(one);
  }
  if (!found.size) return null;
  const titles = ["implementation", "cases", "deviation", "divergence"];
  return h("section", h("h2", "Known divergences"), scroll("Known divergences", h("table.list.divergences",
    h("thead", h("tr", titles.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", [...found.values()].map((each) => h("tr",
      h("th", { scope: "row" }, h("a", { href: to("implementation", [each.name]) }, breakable(each.name))),
      h("td.num", resultLink(each.rows[0], formatCount(each.rows.length))), h("td", each.what ?? ""), h("td", upstreamLink(each))))))));
}

// Cases of campaigns that have no row. Filters do not apply to them.
function counted() {
  const found = data.implementations.filter((each) => Object.keys(each.counted).length);
  const text = (statuses) => Object.entries(statuses).map(([name, cases]) => `${formatCount(cases)} ${name}`).join(", ");
  return found.length ? h("section", h("h2", "Counted by campaigns without keeping their rows"), h("dl.facts", found.map((each) => [h("dt", each.name), h("dd", text(each.counted))]))) : null;
}

function absent() {
  const found = Object.entries(data.absent);
  return found.length ? h("section", h("h2", "Not installed, not run"), h("dl.facts", found.map(([name, needs]) => [h("dt", name), h("dd", needs)]))) : null;
}
