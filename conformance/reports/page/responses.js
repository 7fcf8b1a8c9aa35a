// The response map of an explanation: for each changed block, the results that must respond beside those that do.

import { h, s } from "./dom.js";
import { scroll } from "./parts.js";
import { plural } from "./words.js";

const [EXPECTED, MISSING, UNEXPECTED] = "+-x"; // as in conformance/results/response_map.py
const [SIDE, GAP] = [7, 9];
const SHOWN_BLOCKS = 3;

export function responseMap({ probe, results, rows, omitted }) {
  const tensors = grouped(results);
  const entries = Object.entries(rows);
  const title = `Changed blocks of “${probe}” and the results that respond`;
  return h("figure.responses",
    scroll(title, h("table",
      h("caption.screen-reader", title),
      h("thead", h("tr", h("th", { scope: "col" }, "changed block"),
        ["must respond", "responds"].map((text) => h("th", { scope: "col" }, text, names(tensors))))),
      h("tbody", entries.map(([block, marks]) => h("tr", h("th", { scope: "row" }, block),
        h("td", { "data-label": "must respond" }, strip(tensors, marks, must), h("span.screen-reader", spoken(tensors, marks, [EXPECTED, MISSING]) || "none")),
        h("td", { "data-label": "responds" }, strip(tensors, marks, got), h("span.screen-reader", difference(tensors, marks)))))))),
    h("figcaption", `One block of “${probe}” was changed at a time. The groups of squares are the blocks of ${listed(Object.keys(tensors))}: `,
      key(got(EXPECTED)), " responds, ", key(got(MISSING)), " must respond but does not, ", key(got(UNEXPECTED)), " must not respond but does.",
      omitted > 0 && ` ${plural(omitted, "further block")} with a wrong response.`));
}

function listed(words) {
  return new Intl.ListFormat("en", { type: "conjunction" }).format(words);
}

// The positions of the results by tensor: { h_n: [{ at: 15, name: "layer 0, forward, row 0", x: 114 }, …], … }.
function grouped(results) {
  const tensors = {};
  results.forEach((text, at) => {
    const [tensor, ...name] = text.split(", ");
    tensors[tensor] ??= [];
    const x = at * SIDE + (Object.keys(tensors).length - 1) * GAP;
    tensors[tensor].push({ at, name: name.join(", "), x });
  });
  return tensors;
}

function must(mark) {
  return mark === EXPECTED || mark === MISSING ? "responds" : "still";
}

function got(mark) {
  return { [EXPECTED]: "responds", [MISSING]: "missing", [UNEXPECTED]: "unexpected" }[mark] ?? "still";
}

function strip(tensors, marks, kindOf) {
  const places = Object.values(tensors).flat();
  return picture(places, SIDE, places.map(({ at, x }) => square(x, 0, kindOf(marks[at]))));
}

// The names of the tensors above their squares.
function names(tensors) {
  const places = Object.values(tensors).flat();
  return picture(places, 12, Object.entries(tensors).map(([tensor, [first]]) => s("text", { x: first.x, y: 10 }, tensor)));
}

function picture(places, height, content) {
  const width = Math.max(...places.map(({ x }) => x)) + SIDE + 18; // space for the last name
  return s("svg.strip", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" }, content);
}

// A full square, a hollow one, one with a cross, or a dot.
function square(x, y, kind) {
  if (kind === "still") return s("circle.still", { cx: x + SIDE / 2, cy: y + SIDE / 2, r: 0.9 });
  const box = s(`rect.${kind}`, { x: x + 0.75, y: y + 0.75, width: SIDE - 1.5, height: SIDE - 1.5 });
  if (kind !== "unexpected") return box;
  return [box, s("path.cross", { d: `M${x + 1} ${y + 1}l${SIDE - 2} ${SIDE - 2}m0 ${2 - SIDE}l${2 - SIDE} ${SIDE - 2}` })];
}

function key(kind) {
  return s("svg.strip", { viewBox: `0 0 ${SIDE} ${SIDE}`, width: 11, height: 11, "aria-hidden": "true" }, square(0, 0, kind));
}

function difference(tensors, marks) {
  const missing = spoken(tensors, marks, [MISSING]);
  const unexpected = spoken(tensors, marks, [UNEXPECTED]);
  return [missing && `not: ${missing}`, unexpected && `although it must not: ${unexpected}`].filter(Boolean).join("; ");
}

// Describes the results with some marks: "all 15 blocks of output; h_n: layer 0, forward, row 1".
function spoken(tensors, marks, some) {
  return Object.entries(tensors).map(([tensor, places]) => {
    const found = places.filter(({ at }) => some.includes(marks[at]));
    if (found.length > 1 && found.length === places.length) return `all ${found.length} blocks of ${tensor}`;
    if (found.length > SHOWN_BLOCKS) return `${found.length} of ${places.length} blocks of ${tensor}`;
    return found.map(({ name }) => `${tensor}, ${name}`).join("; ");
  }).filter(Boolean).join("; ");
}
