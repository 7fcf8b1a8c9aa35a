// Elements that several views share.

import { external, h } from "./dom.js";
import { data } from "./data.js";
import { to } from "./state.js";
import { divergenceOf, nameOf } from "./model.js";
import { describeCell, formatNumber, GLYPHS } from "./words.js";

const GITHUB = /^https:\/\/github\.com\/[\w.-]+\/([\w.-]+)\/(?:issues|pull|discussions)\/(\d+)$/;

export function badge(status) {
  return h(`span.badge.s-${status}`, h("span", { "aria-hidden": "true" }, GLYPHS[status]), ` ${status}`);
}

// The most important status in a cell, which selects its colour; "none" for an empty cell.
export function cellStatus(cell) {
  if (!cell.rows.length) return "none";
  if (cell.deviating) return cell.worst;
  if (cell.known) return "known";
  if (cell.supported) return "pass";
  return cell.unsupported ? "unsupported" : "not-run";
}

// The counts of a cell, as a link to its cases.
export function tile(name, feature, cell) {
  const kind = cellStatus(cell);
  if (kind === "none") return h("span.tile.s-none", "no data");
  const label = `${name}, ${feature || "all cases"}: ${cell.deviating ? `${cell.deviating} ${cell.worst}, ` : ""}${describeCell(cell)}`;
  return h(`a.tile.s-${kind}`, { href: to("cases", [name, feature]), "aria-label": label, title: label },
    h("span.glyph", GLYPHS[kind]),
    cell.supported > 0 && h(`span.kn${cell.supported > 999 ? ".long" : ""}`, `${cell.passed}/${cell.supported}`),
    cell.unsupported > 0 && h("span.more", `+${cell.unsupported}`));
}

export function resultLink(row, text, tensor = "") {
  const parts = [nameOf(row), data.cases.id[data.rows.case[row]], tensor].filter(Boolean);
  return h("a", { href: to("result", parts) }, text);
}

export function errorRatioText(value) {
  return h(`span.num${value > 1 ? ".over" : ""}`, formatNumber(value));
}

// The id and the upstream link of a row's known divergence; null for other rows.
export function divergence(row) {
  const found = divergenceOf(row);
  return found && upstreamLink(found);
}

export function upstreamLink(entry) {
  return h("span", h("code", entry.id), " ", upstreamOf(entry));
}

// The upstream link of a known divergence, or a text if there is none.
export function upstreamOf({ upstream }) {
  if (/^https?:/i.test(upstream ?? "")) return external(upstream, shortAddress(upstream));
  return upstream ? h("small", `upstream: ${upstream}`) : "";
}

// A GitHub issue, pull request or discussion as repository#number. Other addresses are returned unchanged.
export function shortAddress(address) {
  const [, repository, number] = GITHUB.exec(address) ?? [];
  return repository ? `${repository}#${number}` : address;
}

// A list of names and values.
export function facts(pairs) {
  const entries = Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (!entries.length) return h("p.none", "no data");
  return h("dl.facts", entries.map(([name, value]) => [h("dt", name), h("dd", value instanceof Node ? value : String(value))]));
}

// A table in a region that scrolls on a narrow screen.
export function scroll(label, table) {
  return h("div.scroll", { role: "region", "aria-label": label, tabindex: "0" }, table);
}

export function crumbs(...trail) {
  return h("nav.crumbs", { "aria-label": "Breadcrumb" }, h("ol",
    [["All implementations", to("matrix")], ...trail].map(([text, href]) =>
      h("li", href ? h("a", { href }, text) : h("span", { "aria-current": "page" }, text)))));
}
