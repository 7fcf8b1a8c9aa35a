// The state of the page is in its URL: #/view/part/part?filter=value.

export const FILTERS = ["family", "dtype", "status", "tag", "q"];

export function state() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...parts] = path.split("/").map(decode);
  return { view: view || "matrix", parts, params: new URLSearchParams(query) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The URL of a view. Filters and theme are kept; the sort order is kept within a view.
export function to(view, parts = [], changes = {}) {
  const now = state().params;
  const params = new URLSearchParams();
  for (const name of [...FILTERS, "sort", "theme"]) {
    if (now.get(name) && (name !== "sort" || view === state().view)) params.set(name, now.get(name));
  }
  for (const [name, value] of Object.entries(changes)) {
    if (value) params.set(name, value);
    else params.delete(name);
  }
  const path = [view === "matrix" ? "" : view, ...parts].map(encodeURIComponent).join("/");
  const query = params.toString();
  return `#/${path}${query ? `?${query}` : ""}`;
}

// The URL of the current view with changed parameters.
export function changed(changes) {
  const { view, parts } = state();
  return to(view, parts, changes);
}

// Goes to a URL. If replaced is true, it replaces the current entry of the history.
export function go(address, replaced = false) {
  if (replaced) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
