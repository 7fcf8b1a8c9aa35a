// How statuses, numbers and commands read.

import { UNSEEN, visible } from "./dom.js";

export const GLYPHS = {
  pass: "✓", fail: "✗", unsupported: "–", error: "!", crash: "‡", timeout: "…", known: "≈", fixed: "↺", "not-run": "○",
};
// The worst first: what a list begins with.
export const SEVERITY = ["fixed", "crash", "timeout", "error", "fail", "known", "pass", "not-run", "unsupported"];

export function digits(errorRatio) {
  if (typeof errorRatio !== "number") return "no data";
  if (errorRatio === Infinity) return "∞";
  if (errorRatio === 0) return "0";
  if (Number.isNaN(errorRatio)) return "NaN";
  if (errorRatio >= 1e5 || errorRatio < 1e-3) return errorRatio.toExponential(2).replace("e+", "e");
  return String(Number(errorRatio.toPrecision(3)));
}

export function many(count) {
  return typeof count === "number" ? String(count).replace(/\B(?=(\d{3})+$)/g, "\u202f") : "no data";
}

export function plural(count, one, more = `${one}s`) {
  return `${many(count)} ${count === 1 ? one : more}`;
}

// 12 of 14, and (+3 unsupported, …) where there is more to say.
export function ofThem(cell) {
  if (!cell.rows.length) return "no data";
  return cell.supported ? `${many(cell.passed)} of ${many(cell.supported)}` : "none ran";
}

export function beside(cell) {
  const rest = [];
  if (cell.unsupported) rest.push(`+${many(cell.unsupported)} unsupported`);
  if (cell.known) rest.push(`${many(cell.known)} known`);
  if (cell.notRun) rest.push(`${many(cell.notRun)} not run`);
  return rest.length ? ` (${rest.join(", ")})` : "";
}

export const inWords = (cell) => ofThem(cell) + beside(cell);

// A word of a command line, as a shell reads it back; what cannot be seen, by its number.
export function quoted(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word;
  const shown = visible(word.replaceAll("\t", "\u0000").replaceAll("\n", "\u0000"));
  if (shown === word) return `'${word.replaceAll("'", `'"'"'`)}'`;
  const number = (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return `$'${word.replace(/[\\']/g, "\\$&").replace(/[\t\n]/g, number).replace(UNSEEN, number)}'`;
}

// A hexadecimal float, as Python writes it, to the number that it is.
export function fromHex(text) {
  const found = /^(-?)0x([01])\.([0-9a-f]+)p([+-]\d+)$/.exec(text);
  if (!found) return { inf: Infinity, "-inf": -Infinity }[text] ?? NaN;
  const [, sign, whole, fraction, exponent] = found;
  const mantissa = Number(whole) + parseInt(fraction, 16) / 16 ** fraction.length;
  // In two steps, as 2 ** -1074 of a whole is representable and 2 ** -1074 alone may not be reached.
  const half = Math.trunc(Number(exponent) / 2);
  return (sign ? -1 : 1) * mantissa * 2 ** half * 2 ** (Number(exponent) - half);
}

// A case's options, or any other JSON, as YAML.
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
