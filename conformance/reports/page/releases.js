// The view over releases: for each implementation, its releases in one row, error ratios, and the cases that changed.

import { breakable, h } from "./dom.js";
import { byFeature, byRelease, caseId, caseOf, cell, deviates, divergenceOf, dtypeOf, errorRatio, filtered, largest, status } from "./model.js";
import { data } from "./data.js";
import { errorRatioLine } from "./charts.js";
import { crumbs, errorRatioText, resultLink, scroll, tile, upstreamLink } from "./parts.js";
import { formatNumber, passedOf, plural } from "./words.js";

const SHOWN_CASES = 5;

export function releases() {
  const groups = byRelease();
  if (!groups.length) {
    return [crumbs(["Releases"]), h("h1", "no data"),
      h("p.none", "These results have one release of each implementation. To run several releases: conformance versions NAME")];
  }
  const rows = filtered(new URLSearchParams());
  return [
    crumbs(["Releases"]),
    h("h1", "Results by release"),
    groups.map(([name, places]) => releaseHistory(name, places.map(({ place, version }) => ({ name: data.implementations[place].name, version, rows: rows[place] })))),
    h("p.small", "Features are shown if their counts differ between releases. A changed case conforms in one release and not in the next, or the other way round. ",
      "Dot: largest error ratio of a release. Tick: median. Dashed line: budget. A square instead of a dot: cases changed."),
  ];
}

function releaseHistory(name, found) {
  const changed = found.map((release, place) => (place ? changesBetween(found[place - 1], release) : []));
  const counts = changed.map((groups) => groups.reduce((sum, group) => sum + group.pairs.length, 0));
  return h("section", h("h2", breakable(name)),
    scroll(`Releases of ${name}`, h("table.list.releases",
      h("thead", h("tr", h("th", { scope: "col" }, "release"), found.map(({ version }, place) => h(`th${counts[place] ? ".changed" : ""}`, { scope: "col" }, version)))),
      h("tbody",
        releaseRow("conforming cases", found, (release) => tile(release.name, "", cell(release.rows))),
        releaseRow("changed cases", found, (_, place) => (counts[place] ? h("b", counts[place]) : place ? "·" : "")),
        data.dtype_names.filter((dtype) => found.some(({ rows }) => passingRows(rows, dtype).length)).map((dtype) => releaseRow(`error ratio, ${dtype}`, found, (release) => errorRatioText(largest(passingRows(release.rows, dtype))))),
        differingFeatures(found).map(([feature, cells]) => releaseRow(feature, found, (release, place) => tile(release.name, feature, cells[place])))))),
    h("figure.ratios", scroll(`Error ratio by release of ${name}`, releaseRatios(name, found, counts)), h("figcaption", "Error ratio of the cases that pass")),
    h("ul.causes.changes", found.flatMap((release, place) => changed[place].map((group) => changeItem(found[place - 1], release, group)))),
    counts.every((count) => !count) && h("p.none", "No case changed between these releases."));
}

const releaseRow = (title, found, content) => h("tr", h("th", { scope: "row" }, title), found.map((release, place) => h("td", content(release, place))));

const passingRows = (rows, dtype) => rows.filter((row) => status(row) === "pass" && (!dtype || dtypeOf(row) === dtype));

// The features whose counts differ between releases, with the cell of each release.
function differingFeatures(found) {
  const groups = found.map(({ rows }) => byFeature(rows));
  return data.feature_names.map((name) => [name, groups.map((each) => cell(each[name], name))])
    .filter(([, cells]) => new Set(cells.map((each) => `${each.passed}/${each.supported}`)).size > 1);
}

function releaseRatios(name, found, counts) {
  return errorRatioLine(name, found.map(({ version }) => version), found.map(({ version, rows }, at) => {
    const values = passingRows(rows).map(errorRatio).filter((value) => value !== null).sort((one, other) => one - other);
    const top = values.at(-1) ?? null;
    return { at, largest: top, median: values[values.length >> 1], square: counts[at] > 0,
      title: `${version}: ${passedOf(cell(rows))}, largest error ratio ${formatNumber(top)}` };
  }));
}

// Whether a case conforms. It does not matter whether a deviation is known: that depends on the version.
function outcome(row) {
  if (["pass", "fixed"].includes(status(row))) return "conforms";
  return deviates(row) || status(row) === "known" ? "deviates" : status(row);
}

// The cases that changed from one release to the next, as pairs of rows, by the kind of change.
function changesBetween(old, release) {
  const earlier = new Map(old.rows.map((row) => [caseOf(row), row]));
  const pairs = release.rows.map((row) => [earlier.get(caseOf(row)), row]).filter(([was, now]) => was !== undefined && outcome(was) !== outcome(now));
  const kinds = Object.groupBy(pairs, ([was, now]) => `${outcome(was)} → ${outcome(now)}`);
  return Object.entries(kinds).map(([kind, some]) => ({ kind, pairs: some }));
}

function changeItem(old, release, { kind, pairs }) {
  const findings = new Map(pairs.flat().map(divergenceOf).filter(Boolean).map((entry) => [entry.id, entry]));
  const links = pairs.map(([was, now]) => [resultLink(now, caseId(now)), " (", resultLink(was, `in ${old.version}`), ") "]);
  return h(`li.s-${{ conforms: "pass", deviates: "fail" }[outcome(pairs[0][1])] ?? "unsupported"}`,
    h("p", h("b", `${old.version} → ${release.version}`), `: ${plural(pairs.length, "case")}, ${kind}`),
    [...findings.values()].map((entry) => h("p", upstreamLink(entry), entry.what ? ` ${entry.what}` : "")),
    h("p.examples", links.slice(0, SHOWN_CASES)),
    links.length > SHOWN_CASES && h("details", h("summary", `${links.length - SHOWN_CASES} more`), h("p.examples", links.slice(SHOWN_CASES))));
}
