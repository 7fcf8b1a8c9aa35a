// The first view: implementation × feature, then what deviates and why.

import { breakable, h, outside } from "./dom.js";
import { data } from "./data.js";
import { changed, go, state, to } from "./state.js";
import { byFeature, cell, deviates, divergenceOf, family, filtered, largest, nameOf, power, reasonOf, status } from "./model.js";
import { bar, meter } from "./charts.js";
import { filters } from "./filters.js";
import { errorRatioText, resultLink, scroll, shortened, standing, thread, tile } from "./parts.js";
import { beside, GLYPHS, many, ofThem, plural } from "./words.js";

const THREADS = 2;
const NUMERIC = ["gradients", "float64", "float32", "float16", "bfloat16"];

export function matrix() {
  const { params } = state();
  const groups = filtered(params);
  const lines = data.implementations.map((about, place) => line(about, groups[place]));
  const any = ["family", "dtype", "status", "tag", "q"].some((name) => params.get(name));
  const shown = sorted(lines.filter((each) => each.all.rows.length || !any), params.get("sort"));
  const counted = groups.reduce((sum, rows) => sum + rows.length, 0);
  const used = data.feature_names.filter((name) => shown.some((each) => each.cells[name].rows.length));
  const said = any
    ? `${plural(counted, "result")} of ${many(data.rows.case.length)} match: ${plural(shown.length, "implementation")}`
    : `${plural(data.implementations.length, "implementation")}, ${plural(data.cases.id.length, "case")}, ${plural(counted, "result")}`;
  return [
    h("div.top", h("h1", "What each implementation gets right"), tally(groups.flat())),
    filters([], h("p.counted", { role: "status" }, said)),
    shown.length ? scroll("Implementations by feature", table(shown, used)) : h("p.none", "Nothing matches these filters."),
    key(),
    causes(new Set(groups.flat())),
    divergences(groups.flat()),
    absent(),
  ];
}

function line(about, rows) {
  const groups = byFeature(rows);
  const cells = Object.fromEntries(data.feature_names.map((name) => [name, cell(groups[name], name)]));
  const known = [...new Map(rows.map(divergenceOf).filter(Boolean).map((each) => [each.id, each])).values()];
  return { about, name: about.name, rows, all: cell(rows), cells, known, errorRatio: largest(rows), power: power(rows) };
}

function sorted(lines, by) {
  if (!by) return lines;
  const down = by.startsWith("-");
  const name = by.replace(/^-/, "");
  const value = {
    name: (each) => each.name.toLowerCase(),
    cases: (each) => each.all.deviating * 1e9 - each.all.passed,
    errorRatio: (each) => each.errorRatio ?? -1,
    power: (each) => each.power ?? -1,
    known: (each) => each.known.length,
  }[name] ?? ((each) => (each.cells[name]?.rows.length ? each.cells[name].deviating * 1e9 + each.cells[name].known * 1e6 - each.cells[name].passed : -1e12));
  const order = (one, other) => (value(one) < value(other) ? -1 : value(one) > value(other) ? 1 : 0);
  return [...lines].sort((one, other) => (down ? order(other, one) : order(one, other)));
}

// A heading that sorts: first what matters most, then the other way, then as in the file.
function heading(id, text, kind = "") {
  const now = state().params.get("sort");
  const first = id === "name" ? id : `-${id}`;
  const second = id === "name" ? "-name" : id;
  const next = now === first ? second : now === second ? "" : first;
  const sort = now === id ? "ascending" : now === `-${id}` ? "descending" : null;
  return h(`th${kind}`, { scope: "col", "aria-sort": sort },
    h("button.sort", { type: "button", "data-sort": id, click: () => go(changed({ sort: next })) }, h("span", text),
      sort && h("span.arrow", { "aria-hidden": "true" }, sort === "ascending" ? " ↑" : " ↓")));
}

function table(lines, features) {
  const head = h("tr",
    heading("name", "implementation", ".name"), heading("cases", "cases that conform", ".cases"), heading("errorRatio", "largest error ratio", ".error-ratio"),
    heading("power", "detects", ".power"), heading("known", "known divergences", ".known"),
    features.map((name) => heading(name, name, `.feature${name === NUMERIC.find((each) => features.includes(each)) ? ".edge" : ""}`)));
  const body = h("tbody", lines.map((each) => row(each, features)));
  body.addEventListener("keydown", walk);
  const [first, ...rest] = body.querySelectorAll("td.feature a");
  first?.setAttribute("tabindex", "0");
  for (const link of rest) link.setAttribute("tabindex", "-1");
  // Fixed widths: to try what each of thousands of cells needs takes longer than all else.
  const width = [196, 168, 92, 84, 150, ...features.map(() => 51)].reduce((sum, each) => sum + each);
  return h("table.matrix", { "width px": width }, h("caption.unseen", "Conforming cases of each implementation by feature. Arrow keys move between cells."),
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
      h("a", { href: to("cases", [about.name, ""]) }, h(`span.glyph.t-${standing(all)}`, GLYPHS[standing(all)] ?? "·"), ` ${ofThem(all)}`, h("small", beside({ ...all, known: 0 })))),
    h("td.error-ratio", { "data-label": "error ratio" }, meter(each.errorRatio), errorRatioText(each.errorRatio)),
    h("td.power", { "data-label": "detects" }, each.power === null ? h("span.none", "no data") : `${each.power} of ${data.defects}`),
    h("td.known", { "data-label": "known" }, each.known.length ? threads(about.name, each.known) : h("span.none", all.supported ? "none" : "no data")),
    features.map((name) => h(`td.feature.k-${standing(each.cells[name])}${name === edge ? ".edge" : ""}`,
      { "data-label": name }, tile(about.name, name, each.cells[name]))));
}

// How many there are, and the first of their threads; all of them are on the implementation's own view.
function threads(name, entries) {
  const addresses = [...new Set(entries.map((entry) => entry.upstream).filter((address) => /^https?:/i.test(address ?? "")))];
  return [h("a", { href: to("implementation", [name]) }, h("span.t-known", GLYPHS.known), ` ${plural(entries.length, "divergence")}`),
    addresses.length > 0 && h("small", addresses.slice(0, THREADS).map((address, place) => [place ? ", " : "", outside(address, shortened(address))]),
      addresses.length > THREADS && ` +${addresses.length - THREADS}`)];
}

// Arrow keys among the cells; one of them at a time is reached by the tabulator.
function walk(event) {
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [0, -1e6], End: [0, 1e6] };
  const step = steps[event.key];
  const here = event.target.closest("td.feature");
  if (!step || !here || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = [...event.currentTarget.rows].map((each) => [...each.querySelectorAll("td.feature")]);
  let y = rows.findIndex((each) => each.includes(here));
  let x = rows[y].indexOf(here);
  const within = (value, length) => Math.max(0, Math.min(length - 1, value));
  event.preventDefault();
  // Cells without data are passed over.
  for (let tries = 0; tries < 1000; tries++) {
    const [nextY, nextX] = [within(y + step[0], rows.length), within(x + step[1], rows[y].length)];
    if (nextY === y && nextX === x) return;
    [y, x] = [nextY, nextX];
    const link = rows[y][x].querySelector("a");
    if (link) {
      here.querySelector("a").setAttribute("tabindex", "-1");
      link.setAttribute("tabindex", "0");
      link.focus();
      return;
    }
  }
}

// How many results have each status; a click filters by it.
function tally(rows) {
  const { counts } = cell(rows);
  const now = state().params.get("status");
  return h("ul.tally", { "aria-label": "Results by status" }, data.statuses.filter((name) => counts[name]).map((name) =>
    h("li", h(`a.chip.s-${name}`, { href: changed({ status: now === name ? "" : name }), "aria-current": now === name ? "true" : null },
      h("span", { "aria-hidden": "true" }, GLYPHS[name]), " ", h("b", many(counts[name])), ` ${name}`))));
}

function key() {
  const entry = (name, text) => h("li", h(`span.glyph.t-${name}`, GLYPHS[name]), ` ${text}`);
  return h("div.key", h("ul",
    entry("pass", "conforms"), entry("known", "deviates as is known"), entry("fail", "deviates"), entry("error", "raises"),
    entry("crash", "crashes"), entry("timeout", "hangs"), entry("unsupported", "unsupported"), entry("not-run", "not run")),
  h("p", "k/n: k of n supported cases conform; +u: unsupported. ",
    "Error ratio: largest |deviation| / rounding budget, up to 1 conforms. ",
    "Detects: how many wrong LSTMs of the suite's catalogue the passed cases would have told apart."));
}

function causes(rows) {
  const groups = data.causes.map((each) => ({ ...each, left: each.rows.filter((one) => rows.has(one)) })).filter((each) => each.left.length);
  const diagnosed = new Set(groups.flatMap((each) => each.left));
  const others = [...rows].filter((one) => deviates(one) && !diagnosed.has(one));
  const byName = Object.groupBy(others, nameOf);
  if (!groups.length && !others.length) return null;
  const entry = (name, some, what, ids) => h("li",
    h("p", h("b", plural(some.length, "case")), " of ", h("a", { href: to("implementation", [name]) }, name), ": ", what),
    h("p.examples", ids.map((id) => [h("code", id), " "]), examples(some)));
  return h("section", h("h2", "What deviates, and why"), h("ul.causes",
    groups.map((each) => entry(each.implementation, each.left, each.what, each.defects)),
    Object.entries(byName).map(([name, some]) => entry(name, some, reasonOf(some[0]) || status(some[0]), []))));
}

function examples(rows) {
  const some = rows.slice(0, 3).map((one, place) => [place ? ", " : "", resultLink(one, data.cases.id[data.rows.case[one]])]);
  const name = nameOf(rows[0]);
  return [some, rows.length > 3 ? [", ", h("a", { href: to("cases", [name, ""], { sort: "" }) }, `all of ${name}`)] : ""];
}

function divergences(rows) {
  const found = new Map();
  for (const one of rows) {
    const entry = divergenceOf(one);
    if (!entry) continue;
    const which = `${entry.id} ${nameOf(one)}`;
    if (!found.has(which)) found.set(which, { ...entry, name: nameOf(one), rows: [] });
    found.get(which).rows.push(one);
  }
  if (!found.size) return null;
  const titles = ["implementation", "cases", "what it does", "divergence"];
  return h("section", h("h2", "Known divergences"), scroll("Known divergences", h("table.list.divergences",
    h("thead", h("tr", titles.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", [...found.values()].map((each) => h("tr",
      h("th", { scope: "row" }, h("a", { href: to("implementation", [each.name]) }, breakable(each.name))),
      h("td.num", resultLink(each.rows[0], many(each.rows.length))), h("td", each.what ?? ""), h("td", thread(each))))))));
}

function absent() {
  const found = Object.entries(data.absent);
  return found.length ? h("section", h("h2", "Not installed, not run"), h("dl.facts", found.map(([name, needs]) => [h("dt", name), h("dd", needs)]))) : null;
}
