// The filters above the matrix and the lists. The URL holds their values.

import { h } from "./dom.js";
import { data } from "./data.js";
import { changed, FILTERS, go, state } from "./state.js";
import { families, tags } from "./model.js";
import { GLYPHS } from "./words.js";

const SEARCH_DELAY_MS = 150;
let timer = 0;

// Arguments: names of the filters to omit, and an additional element to show.
export function filters(without = [], extra = null) {
  const params = state().params;
  const present = data.statuses.filter((_, place) => data.rows.status.includes(place));
  const lists = {
    family: families(),
    dtype: data.dtype_names,
    status: present,
    tag: tags(),
  };
  const active = FILTERS.some((name) => params.get(name));
  const search = h("input", {
    type: "search", id: "filter-q", placeholder: "name, case, tag or reason", value: params.get("q") ?? "",
    "aria-keyshortcuts": "/", spellcheck: "false", autocomplete: "off",
    input: (event) => {
      clearTimeout(timer);
      timer = setTimeout(() => go(changed({ q: event.target.value.trim() }), true), SEARCH_DELAY_MS);
    },
  });
  const menus = Object.entries(lists).filter(([name, values]) => !without.includes(name) && values.length).map(([name, values]) => {
    const menu = h("select", { id: `filter-${name}`, change: (event) => go(changed({ [name]: event.target.value })) },
      h("option", { value: "" }, `any ${name}`),
      values.map((value) => h("option", { value, selected: params.get(name) === value },
        name === "status" ? `${GLYPHS[value]} ${value}` : value)));
    return h(`label${params.get(name) ? ".set" : ""}`, { for: `filter-${name}` }, h("span", name), menu);
  });
  const none = Object.fromEntries(FILTERS.map((name) => [name, ""]));
  return h("form.filters", { role: "search", "aria-label": "Filter the results", submit: (event) => event.preventDefault() },
    h("label.search", { for: "filter-q" }, h("span", "search"), search),
    menus,
    active && h("a.clear", { href: changed(none) }, "Clear filters"),
    extra);
}
