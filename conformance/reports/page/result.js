// The view of one result: its case, tensors, deviations, diagnosis, and commands to run it again.

import { breakable, copyButton, external, h } from "./dom.js";
import { data, details, number, record } from "./data.js";
import { to } from "./state.js";
import { caseId, caseOf, divergenceOf, dtypeOf, featuresOf, errorRatio, reasonOf, status, tagsOf } from "./model.js";
import { meter } from "./charts.js";
import { badge, crumbs, facts, errorRatioText, scroll, upstreamOf } from "./parts.js";
import { tensor } from "./tensor.js";
import { formatNumber, shellQuoted, yaml } from "./words.js";

export async function result(name, id, chosen = "", element = "") {
  const row = find(name, id);
  if (row === undefined) return [crumbs([id]), h("h1", "no data"), h("p.none", `These results have no case ${id} on ${name}.`)];
  const all = await details();
  const own = all.rows[row] ?? {};
  const wrong = Object.fromEntries(Object.entries(own.details ?? {}).map(([each, place]) => [each, record(all.deviating, place) ?? {}]));
  const tensors = Object.fromEntries(all.tensors[all.names[row]].map((each, place) => [each, number(all.error_ratios[row][place])]));
  for (const each of Object.keys(wrong)) tensors[each] ??= undefined;
  const shown = chosen || worstOf(tensors, wrong);
  return [
    crumbs([name, to("implementation", [name])], [id]),
    h("h1.path", badge(status(row)), " ", breakable(id), h("span.sub", " on ", breakable(name))),
    h("p.reason.lead", reasonOf(row), " ", divergenceOf(row) && upstreamOf(divergenceOf(row))),
    own.diagnosis && h("div.diagnosis", h("h2", "Diagnosis"), h("p", own.diagnosis),
      own.causes && h("ul.plain", Object.entries(own.causes).map(([cause, what]) => h("li", h("code", cause), ` an LSTM ${what}`)))),
    divergenceOf(row)?.reason && h("div.diagnosis", h("h2", "Cause"), h("p", divergenceOf(row).reason)),
    rerun(row),
    h("div.columns.wide",
      h("section", h("h2", "Tensors"), tensorTable([name, id], tensors, wrong, shown), unchecked(own)),
      h("section", h("h2", "Case"), described(row, all.options[caseOf(row)]))),
    shown && tensor([name, id], shown, tensors[shown], wrong[shown], element),
    own.traceback && h("section", h("h2", "Traceback"), h("pre.trace", { tabindex: "0" }, own.traceback)),
    own.notes && h("section", h("h2", "Notes"), h("ul.plain", own.notes.map((note) => h("li", note)))),
    h("section", h("h2", "Provenance"), facts(provenance(row, all.profiles[all.profile[row]]))),
  ];
}

function find(name, id) {
  const place = data.implementations.findIndex((each) => each.name === name);
  const { rows, cases } = data;
  const at = rows.case.findIndex((one, row) => rows.implementation[row] === place && (cases.id[one] === id || cases.key[one] === id));
  return at < 0 ? undefined : at;
}

function worstOf(tensors, wrong) {
  const names = Object.keys(Object.keys(wrong).length ? wrong : tensors);
  return names.sort((one, other) => (tensors[other] ?? Infinity) - (tensors[one] ?? Infinity))[0];
}

function tensorTable(parts, tensors, wrong, shown) {
  const names = Object.keys(tensors);
  if (!names.length) return h("p.none", "no data: nothing was compared.");
  return scroll("Tensors", h("table.list.tensors",
    h("thead", h("tr", ["tensor", "error ratio", ""].map((text) => h("th", { scope: "col" }, text || h("span.screen-reader", "verdict"))))),
    h("tbody", names.map((each) => h(`tr${each === shown ? ".chosen" : ""}`,
      h("th", { scope: "row" }, h("a", { href: to("result", [...parts, each]), "aria-current": each === shown ? "true" : null }, each)),
      h("td.error-ratio", meter(tensors[each]), errorRatioText(tensors[each])),
      h("td", each in wrong ? h("span.t-fail", "✗", h("span.word", " deviates")) : h("span.t-pass", "✓", h("span.word", " within"))))))));
}

function unchecked(own) {
  return Object.entries(own.unchecked ?? {}).map(([feature, reason]) => h("p.small", `Ran without ${feature}: ${reason}.`));
}

function described(row, options) {
  const { links = [], notes = "", ...rest } = options ?? {};
  const line = data.cases.line[caseOf(row)];
  const text = yaml(rest);
  return [
    text ? h("div.code", h("pre", { tabindex: "0", "aria-label": "The case as YAML" }, text), copyButton(text, "the case")) : h("p.none", "no data: this results file does not contain the options of its cases."),
    notes && h("p", notes),
    links.length > 0 && h("p", links.map((link) => [external(link), " "])),
    facts({
      file: line ? `${caseId(row).split("::")[0]}, line ${line}` : caseId(row).split("::")[0],
      key: data.cases.key[caseOf(row)], features: featuresOf(row).join(", "), tags: tagsOf(row).join(", "), dtype: dtypeOf(row),
    }),
    h("p", h("a", { href: to("case", [caseId(row)]) }, "This case on all implementations")),
  ];
}

function rerun(row) {
  const { spec, name } = data.implementations[data.rows.implementation[row]];
  const id = caseId(row);
  if (!id.includes("::")) return null; // A campaign has drawn the case. A note names the file of its minimal case.
  const chosen = /[\s()]/.test(id) ? `'${id}'` : id;
  const [file] = id.split("::");
  const own = data.own_files.includes(file) ? `${shellQuoted(file)} ` : "";
  const lines = [`conformance run ${own}-i ${shellQuoted(spec)} -k ${shellQuoted(chosen)}`];
  const known = divergenceOf(row);
  if (known) lines.push(`conformance repro ${shellQuoted(known.id)} | python -`);
  lines.push(`pytest ${shellQuoted(`${id}[${name}]`)}${spec === name ? "" : ` --conformance-implementation ${shellQuoted(spec)}`}`);
  return h("section.repro", h("h2", "Run it again"), lines.map((line) => h("div.code", h("pre", { tabindex: "0" }, line), copyButton(line, "the command"))));
}

function provenance(row, profile) {
  const about = data.implementations[data.rows.implementation[row]];
  return {
    "largest error ratio": formatNumber(errorRatio(row)),
    "rounding profile": profile || "no data",
    ...about.versions, ...about.description,
    suite: data.suite, ...data.machine, ...data.threads,
  };
}
