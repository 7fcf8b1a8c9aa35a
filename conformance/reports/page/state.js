// The state of the page is its address: #/view/part/part?filter=value.

export const FILTERS = ["family", "dtype", "status", "tag", "q"];

export function state() {
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...parts] = path.split("/").map(decoded);
  return { view: view || "matrix", parts, params: new URLSearchParams(query) };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// The address of a view; filters and theme go along.
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

// The same view with other parameters.
export function changed(changes) {
  const { view, parts } = state();
  return to(view, parts, changes);
}

export function go(address, instead = false) {
  if (instead) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  dispatchEvent(new HashChangeEvent("hashchange"));
}
