// Selects and counts rows. A row is an index into the columns of the data.

import { data } from "./data.js";
import { SEVERITY } from "./words.js";

export const status = (row) => data.statuses[data.rows.status[row]];
export const errorRatio = (row) => data.rows.error_ratio[row];
export const caseOf = (row) => data.rows.case[row];
export const caseId = (row) => data.cases.id[caseOf(row)];
export const nameOf = (row) => data.implementations[data.rows.implementation[row]].name;
export const reasonOf = (row) => data.texts.reasons[data.rows.reason[row]];
export const dtypeOf = (row) => data.texts.dtypes[data.cases.dtype[caseOf(row)]];
export const tagsOf = (row) => data.texts.tags[data.cases.tags[caseOf(row)]];
export const featuresOf = (row) => data.texts.features[data.cases.features[caseOf(row)]];
export const uncheckedOf = (row) => data.texts.unchecked[data.rows.unchecked[row]];
export const deviates = (row) => data.deviations.includes(status(row));

// The part of a name before the first separator: torch for torch.nn.LSTM.
export const family = (name) => name.split(/[.:[/@]/)[0] || name;

export function families() {
  return [...new Set(data.implementations.map((each) => family(each.name)))];
}

export function tags() {
  return [...new Set(data.texts.tags.flat())].sort();
}

// Implementations with several releases in the results: the name, and the places of its releases, the oldest first. A name
// without a version is the installed release.
export function byRelease() {
  const groups = new Map();
  data.implementations.forEach(({ name, versions }, place) => {
    const at = name.lastIndexOf("@");
    const base = at < 0 ? name : name.slice(0, at);
    const version = at < 0 ? Object.values(versions)[0] ?? "installed" : name.slice(at + 1);
    groups.set(base, [...(groups.get(base) ?? []), { place, version }]);
  });
  const order = (one, other) => one.version.localeCompare(other.version, "en", { numeric: true });
  return [...groups].filter(([, found]) => found.length > 1).map(([name, found]) => [name, found.sort(order)]);
}

// The rows that match the filters, by implementation.
export function filtered(params) {
  const [chosenFamily, dtype, wanted, tag] = ["family", "dtype", "status", "tag"].map((name) => params.get(name));
  const { rows, cases, texts } = data;
  const code = data.statuses.indexOf(wanted);
  const dtypes = texts.dtypes.map((each) => !dtype || each === dtype);
  const tagged = texts.tags.map((each) => !tag || each.includes(tag));
  const matches = cases.id.map((_, place) => dtypes[cases.dtype[place]] && tagged[cases.tags[place]]);
  const kept = data.implementations.map((each) => !chosenFamily || family(each.name) === chosenFamily);
  const found = searcher(params.get("q") ?? "");
  const groups = data.implementations.map(() => []);
  for (let row = 0; row < rows.case.length; row++) {
    const name = rows.implementation[row];
    if (kept[name] && matches[rows.case[row]] && (!wanted || rows.status[row] === code) && found(row)) {
      groups[name].push(row);
    }
  }
  return groups;
}

// Returns a function that checks whether a row matches a search. Each word must occur in the implementation's name, the
// case's id, its tags or the reason.
function searcher(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return () => true;
  const { rows, cases, texts } = data;
  const lower = (list) => list.map((each) => String(each).toLowerCase());
  const tagged = lower(texts.tags);
  const places = lower(cases.id).map((id, place) => `${id} ${tagged[cases.tags[place]]}`);
  const names = lower(data.implementations.map((each) => each.name));
  const reasons = lower(texts.reasons);
  const hits = words.map((word) => [names, places, reasons].map((list) => list.map((each) => each.includes(word))));
  return (row) => hits.every(([inName, inCase, inReason]) =>
    inName[rows.implementation[row]] || inCase[rows.case[row]] || inReason[rows.reason[row]]);
}

// Counts rows. If a feature is given, a row whose case ran without that feature counts as unsupported.
export function cell(rows, feature = "") {
  const counts = {};
  for (const row of rows) {
    const name = feature && uncheckedOf(row).includes(feature) ? "unsupported" : status(row);
    counts[name] = (counts[name] ?? 0) + 1;
  }
  const count = (name) => counts[name] ?? 0;
  const supported = rows.length - count("unsupported") - count("not-run");
  const deviating = supported - count("pass") - count("known");
  return {
    rows, counts, supported, deviating,
    passed: count("pass"), known: count("known"), unsupported: count("unsupported"), notRun: count("not-run"),
    worst: SEVERITY.find((name) => counts[name]) ?? "",
  };
}

// The rows of each feature.
export function byFeature(rows) {
  const groups = Object.fromEntries(data.feature_names.map((name) => [name, []]));
  for (const row of rows) for (const name of featuresOf(row)) groups[name].push(row);
  return groups;
}

// The largest error ratio of the rows, without known divergences; null if nothing was compared. If a feature is given, rows
// whose cases ran without that feature do not count.
export function largest(rows, feature = "") {
  let found = null;
  for (const row of rows) {
    const value = errorRatio(row);
    const counts = status(row) !== "known" && !(feature && uncheckedOf(row).includes(feature));
    if (value !== null && counts && (found === null || value > found)) found = value;
  }
  return found;
}

// The number of defects that the passed cases detect; null if unknown.
export function power(rows) {
  const masks = new Set(rows.map((row) => data.rows.detected[row]).filter((place) => data.texts.detected[place] !== null));
  if (!masks.size) return null;
  let detected = 0n;
  for (const place of masks) detected |= BigInt(`0x${data.texts.detected[place] || "0"}`);
  return detected.toString(2).replaceAll("0", "").length;
}

// The first known divergence of a row with the status known or fixed; null for other rows.
export function divergenceOf(row) {
  if (!["known", "fixed"].includes(status(row))) return null;
  const id = reasonOf(row).split(":")[0].split(" ")[0];
  return { id, ...data.divergences[id] };
}

// Sorts rows, the most severe status and the largest error ratio first.
export function bySeverity(one, other) {
  const severity = SEVERITY.indexOf(status(one)) - SEVERITY.indexOf(status(other));
  return severity || (errorRatio(other) ?? -1) - (errorRatio(one) ?? -1) || one - other;
}
