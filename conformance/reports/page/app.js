// Opens the results and shows the view that the address names.

import { h, replace } from "./dom.js";
import { data, open } from "./data.js";
import { changed, go, state, to } from "./state.js";
import { cases, oneCase } from "./cases.js";
import { compare } from "./compare.js";
import { implementation } from "./implementation.js";
import { matrix } from "./matrix.js";
import { result } from "./result.js";
import { trend } from "./trend.js";
import { many } from "./words.js";

const THEMES = ["", "light", "dark"];

const VIEWS = {
  matrix: () => matrix(),
  implementation: ([name]) => implementation(name),
  cases: ([name, feature = ""]) => cases(name, feature),
  case: ([id]) => oneCase(id),
  result: (parts) => result(...parts),
  trend: () => trend(),
  compare: () => compare(),
};

const content = document.getElementById("content");
let last = "";
let turn = 0;

async function show() {
  const { view, parts, params } = state();
  const theme = THEMES.includes(params.get("theme")) ? params.get("theme") : "";
  document.documentElement.dataset.theme = theme;
  const held = focused();
  const mine = ++turn;
  const nodes = view in VIEWS ? await VIEWS[view](parts) : [h("h1", "no data"), h("p", h("a", { href: to("matrix") }, "There is no such view."))];
  if (mine !== turn) return;
  replace(document.getElementById("head"), ...head(theme));
  replace(content, nodes);
  document.title = [parts.at(-1), "LSTM conformance"].filter(Boolean).join(" · ");
  const path = [view, ...parts.slice(0, 2)].join("/");
  if (path === last) restore(held);
  else {
    scrollTo(0, 0);
    if (last) content.focus({ preventScroll: true });
  }
  if (view === "result" && (path === last || parts.length > 2)) document.getElementById(parts.length > 2 ? "tensor" : "content")?.scrollIntoView({ block: parts.length > 2 ? "start" : "nearest" });
  last = path;
  document.documentElement.dataset.ready = view;
}

// What has the focus is made anew: it is found again by its id, or by what it sorts or links to.
function focused() {
  const node = document.activeElement;
  if (!node || node === document.body || !content.contains(node)) return null;
  const at = node.selectionStart;
  const scrolled = [...content.querySelectorAll(".scroll")].map((each) => [each.scrollLeft, each.scrollTop]);
  const find = node.id ? `#${CSS.escape(node.id)}` : node.dataset.sort ? `[data-sort="${CSS.escape(node.dataset.sort)}"]` : null;
  return { find, text: node.textContent, tag: node.localName, at, scrolled };
}

function restore(held) {
  if (!held) return;
  const node = held.find ? content.querySelector(held.find)
    : [...content.querySelectorAll(held.tag)].find((each) => each.textContent === held.text);
  node?.focus({ preventScroll: true });
  if (typeof held.at === "number" && node?.setSelectionRange) node.setSelectionRange(held.at, held.at);
  [...content.querySelectorAll(".scroll")].forEach((each, place) => each.scrollTo(...(held.scrolled[place] ?? [0, 0])));
}

function head(theme) {
  const next = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  return [
    h("a.home", { href: to("matrix") }, h("span.mark", { "aria-hidden": "true" }, "✓"), "LSTM conformance"),
    h("span.meta", `suite ${data.suite ?? "no data"}`, data.machine.platform ? ` · ${data.machine.platform.split("-with-")[0]}` : "",
      data.selection ? ` · only ${data.selection}` : ""),
    data.comparison && h("a", { href: to("compare") }, "What changed"),
    data.trend && h("a", { href: to("trend") }, "Trend"),
    h("button.theme", { type: "button", click: () => go(changed({ theme: next }), true) },
      h("span", { "aria-hidden": "true" }, { "": "◐", light: "☀", dark: "☾" }[theme]), ` ${theme || "auto"}`, h("span.unseen", " colours; change")),
  ];
}

// At the top of every view: what makes these results less than they seem.
function banner() {
  const there = data.rows.case.length;
  const texts = [];
  if (data.invalid.length) texts.push(["invalid", `INVALID: known to be wrong, and not found out: ${data.invalid.join(", ")}. No result of this run means anything.`]);
  if (!data.complete) texts.push(["incomplete", `INCOMPLETE: the run was cut short; ${many(there)} of ${many(data.planned)} results are there.`]);
  else if (there < data.planned) texts.push(["incomplete", `INCOMPLETE: ${many(there)} of ${many(data.planned)} planned results are there.`]);
  return texts.map(([kind, text]) => h(`p.${kind}`, { role: "alert" }, text));
}

function foot() {
  return [
    h("p", "k of n supported cases conform; what is unsupported or did not run is never counted as passed. Error ratio: the largest |deviation| from the reference, in units of the rounding budget."),
    h("p", Object.entries({ suite: data.suite, ...data.machine, ...data.threads }).map(([name, value]) => `${name} ${value}`).join(" · ")),
    h("p.keys", "Keys: ", h("kbd", "/"), " search, ", h("kbd", "←↑→↓"), " between cells, ", h("kbd", "Esc"), " one view up"),
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
  replace(content, h("h1", "This page cannot show its results"), h("p", String(error)),
    h("p", "It needs a browser of 2024 or later. The same results are in report.md beside it."));
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
