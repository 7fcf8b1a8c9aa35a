// Formats statuses, counts, numbers, commands and YAML.

import { INVISIBLE, visible } from "./dom.js";

export const GLYPHS = {
  pass: "✓", fail: "✗", unsupported: "–", error: "!", crash: "‡", timeout: "…", known: "≈", fixed: "↺", "not-run": "○",
};
// Statuses from the most to the least severe.
export const SEVERITY = ["fixed", "crash", "timeout", "error", "fail", "known", "pass", "not-run", "unsupported"];

export function formatNumber(value) {
  if (typeof value !== "number") return "no data";
  if (value === Infinity) return "∞";
  if (value === 0) return "0";
  if (Number.isNaN(value)) return "NaN";
  if (value >= 1e5 || value < 1e-3) return value.toExponential(2).replace("e+", "e");
  return String(Number(value.toPrecision(3)));
}

export function formatCount(count) {
  return typeof count === "number" ? String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f") : "no data";
}

export function plural(count, one, more = `${one}s`) {
  return `${formatCount(count)} ${count === 1 ? one : more}`;
}

// "12 of 14".
export function passedOf(cell) {
  if (!cell.rows.length) return "no data";
  return cell.supported ? `${formatCount(cell.passed)} of ${formatCount(cell.supported)}` : "none ran";
}

// "(+3 unsupported, 2 known, 1 not run)"; empty if there are none.
export function remainder(cell) {
  const rest = [];
  if (cell.unsupported) rest.push(`+${formatCount(cell.unsupported)} unsupported`);
  if (cell.known) rest.push(`${formatCount(cell.known)} known`);
  if (cell.notRun) rest.push(`${formatCount(cell.notRun)} not run`);
  return rest.length ? ` (${rest.join(", ")})` : "";
}

// "12 of 14 (+3 unsupported)".
export const describeCell = (cell) => passedOf(cell) + remainder(cell);

// "12 of 14 supported cases conform (+3 unsupported)".
export const verdict = (cell) => `${passedOf(cell)}${cell.supported ? " supported cases conform" : ""}${remainder(cell)}`;

// Quotes a word for a shell. Invisible characters become escapes.
export function shellQuoted(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  const shown = visible(word.replaceAll("\t", "\u0000").replaceAll("\n", "\u0000"));
  if (shown === word) return `'${word.replaceAll("'", `'"'"'`)}'`;
  const number = (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `$'${word.replace(/[\\']/g, "\\$&").replace(/[\t\n]/g, number).replace(INVISIBLE, number)}'`;
}

// Parses a hexadecimal float in Python's format.
export function fromHex(text) {
  const found = /^(-?)0x([01])\.([0-9a-f]+)p([+-]\d+)$/.exec(text);
  if (!found) return { inf: Infinity, "-inf": -Infinity }[text] ?? NaN;
  const [, sign, whole, fraction, exponent] = found;
  const mantissa = Number(whole) + parseInt(fraction, 16) / 16 ** fraction.length;
  // The exponent is applied in two steps, because 2 ** exponent may underflow although the product does not.
  const half = Math.trunc(Number(exponent) / 2);
  return (sign ? -1 : 1) * mantissa * 2 ** half * 2 ** (Number(exponent) - half);
}

// Formats JSON values, such as the options of a case, as YAML.
export function yaml(options) {
  const flow = (value) => {
    if (Array.isArray(value)) return `[${value.map(flow).join(", ")}]`;
    if (value && typeof value === "object") {
      return `{${Object.entries(value).map(([key, item]) => `${flow(key)}: ${flow(item)}`).join(", ")}}`;
    }
    const plain = typeof value !== "string" || /^(?!true$|false$|null$|yes$|no$|~$|[-.\d])[\w][\w./-]*$/.test(value);
    return plain ? String(value) : JSON.stringify(value);
  };
  return Object.entries(options).map(([name, value]) => `${flow(name)}: ${flow(value)}`).join("\n");
}
