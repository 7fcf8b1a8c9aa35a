// Decodes the results and shows the view that the URL names.

import { h, replace } from "./dom.js";
import { data, open } from "./data.js";
import { changed, go, state, to } from "./state.js";
import { cases, oneCase } from "./cases.js";
import { compare } from "./compare.js";
import { implementation } from "./implementation.js";
import { matrix } from "./matrix.js";
import { byRelease } from "./model.js";
import { releases } from "./releases.js";
import { result } from "./result.js";
import { trend } from "./trend.js";
import { formatCount } from "./words.js";

const THEMES = ["", "light", "dark"];

const VIEWS = {
  matrix: () => matrix(),
  implementation: ([name]) => implementation(name),
  cases: ([name, feature = ""]) => cases(name, feature),
  case: ([id]) => oneCase(id),
  result: (parts) => result(...parts),
  releases: () => releases(),
  trend: () => trend(),
  compare: () => compare(),
};

const content = document.getElementById("content");
let lastPath = "";
let latest = 0;

async function show() {
  const { view, parts, params } = state();
  const theme = THEMES.includes(params.get("theme")) ? params.get("theme") : "";
  document.documentElement.dataset.theme = theme;
  const focus = focusState();
  const request = ++latest;
  const nodes = view in VIEWS ? await VIEWS[view](parts) : unknownView();
  if (request !== latest) return; // The URL changed while this view was being built.
  replace(document.getElementById("head"), ...head(theme));
  replace(content, nodes);
  document.title = [parts.at(-1), "LSTM conformance"].filter(Boolean).join(" · ");
  const path = [view, ...parts.slice(0, 2)].join("/");
  if (path === lastPath) restoreFocus(focus);
  else {
    scrollTo(0, 0);
    if (lastPath) content.focus({ preventScroll: true });
  }
  if (view === "result" && parts.length > 2) document.getElementById("tensor")?.scrollIntoView({ block: "start" });
  else if (view === "result" && path === lastPath) content.scrollIntoView({ block: "nearest" });
  lastPath = path;
  document.documentElement.dataset.ready = view;
}

const unknownView = () => [h("h1", "Unknown view"), h("p", h("a", { href: to("matrix") }, "Show all implementations"))];

// Describes the focused element. Every change rebuilds the view, and the new element then gets the focus.
function focusState() {
  const node = document.activeElement;
  if (!node || node === document.body || !content.contains(node)) return null;
  const selector = node.id ? `#${CSS.escape(node.id)}` : node.dataset.sort ? `[data-sort="${CSS.escape(node.dataset.sort)}"]` : null;
  const scrolled = [...content.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
  return { selector, text: node.textContent, tag: node.localName, cursor: node.selectionStart, scrolled };
}

function restoreFocus(focus) {
  if (!focus) return;
  const node = focus.selector ? content.querySelector(focus.selector)
    : [...content.querySelectorAll(focus.tag)].find((each) => each.textContent === focus.text);
  node?.focus({ preventScroll: true });
  if (typeof focus.cursor === "number" && node?.setSelectionRange) node.setSelectionRange(focus.cursor, focus.cursor);
  [...content.querySelectorAll(".scroll")].forEach((each, place) => each.scrollTo(...(focus.scrolled[place] ?? [0, 0])));
}

function head(theme) {
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return [
    h("a.home", { href: to("matrix") }, h("span.mark", { "aria-hidden": "true" }, "✓"), "LSTM conformance"),
    h("span.meta", `suite ${data.suite ?? "no data"}`, data.machine.platform ? ` · ${data.machine.platform.split("-with-")[0]}` : "",
      data.selection ? ` · selection: ${data.selection}` : ""),
    data.comparison && h("a", { href: to("compare") }, "What changed"),
    byRelease().length > 0 && h("a", { href: to("releases") }, "Releases"),
    data.trend && h("a", { href: to("trend") }, "Trend"),
    h("button.theme", { type: "button", click: () => go(changed({ theme: next }), true) },
      h("span", { "aria-hidden": "true" }, { "": "◐", light: "☀", dark: "☾" }[theme]), ` ${theme || "auto"}`, h("span.screen-reader", " colours, change")),
  ];
}

// Warnings at the top of every view: the run is invalid or incomplete.
function banner() {
  const count = data.rows.case.length;
  const texts = [];
  if (data.invalid.length) {
    texts.push(["invalid", `INVALID: the run did not detect the negative controls ${data.invalid.join(", ")}. None of its results can be trusted.`]);
  }
  if (!data.complete) texts.push(["incomplete", `INCOMPLETE: the run did not finish; it has ${formatCount(count)} of ${formatCount(data.planned)} results.`]);
  else if (count < data.planned) texts.push(["incomplete", `INCOMPLETE: ${formatCount(count)} of ${formatCount(data.planned)} planned results.`]);
  return texts.map(([kind, text]) => h(`p.${kind}`, { role: "alert" }, text));
}

function foot() {
  return [
    h("p", "k of n supported cases conform. Cases that are unsupported or did not run never count as passed. Error ratio: largest |deviation| from the reference / rounding budget."),
    h("p", Object.entries({ suite: data.suite, ...data.machine, ...data.threads }).map(([name, value]) => `${name} ${value}`).join(" · ")),
    h("p.keys", "Keys: ", h("kbd", "/"), " search, ", h("kbd", "←↑→↓"), " move between cells, ", h("kbd", "Esc"), " one view up"),
  ];
}

function keys(event) {
  const typing = event.target.matches?.("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    const search = document.getElementById("filter-q");
    if (search) {
      event.preventDefault();
      search.focus();
    }
  } else if (event.key === "Escape" && !typing) {
    const up = [...document.querySelectorAll(".crumbs a")].at(-1);
    if (up) location.hash = up.hash;
  }
}

function failed(error) {
  replace(content, h("h1", "This page cannot show the results"), h("p", String(error)),
    h("p", "The page needs a browser from 2024 or later. report.md in the same folder contains the same results."));
  document.documentElement.dataset.ready = "failed";
}

open().then(async () => {
  replace(document.getElementById("banner"), ...banner());
  replace(document.getElementById("foot"), ...foot());
  addEventListener("hashchange", () => show().catch(failed));
  addEventListener("keydown", keys);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    content.focus();
  });
  await show();
}).catch(failed);
