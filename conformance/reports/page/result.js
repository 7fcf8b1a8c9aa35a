// One result: the case, what was compared, what is wrong, what explains it, how to see it again.

import { breakable, copier, h, outside } from "./dom.js";
import { data, details, number, record } from "./data.js";
import { to } from "./state.js";
import { caseId, caseOf, divergenceOf, dtypeOf, featuresOf, errorRatio, reasonOf, status, tagsOf } from "./model.js";
import { meter } from "./charts.js";
import { badge, crumbs, facts, errorRatioText, scroll, thread } from "./parts.js";
import { tensor } from "./tensor.js";
import { digits, quoted, yaml } from "./words.js";

export async function result(name, id, chosen = "", element = "") {
  const row = find(name, id);
  if (row === undefined) return [crumbs([id]), h("h1", "no data"), h("p.none", `These results hold no ${id} on ${name}.`)];
  const held = await details();
  const said = held.rows[row] ?? {};
  const wrong = Object.fromEntries(Object.entries(said.details ?? {}).map(([each, place]) => [each, record(held.deviating, place) ?? {}]));
  const tensors = Object.fromEntries(held.tensors[held.names[row]].map((each, place) => [each, number(held.error_ratios[row][place])]));
  for (const each of Object.keys(wrong)) tensors[each] ??= undefined;
  const shown = chosen || worstOf(tensors, wrong);
  return [
    crumbs([name, to("implementation", [name])], [id]),
    h("h1.path", badge(status(row)), " ", breakable(id), h("span.sub", " on ", breakable(name))),
    h("p.reason.lead", divergenceOf(row) ? thread(divergenceOf(row)) : "", " ", reasonOf(row)),
    said.diagnosis && h("div.diagnosis", h("h2", "Diagnosis"), h("p", said.diagnosis),
      said.causes && h("ul.plain", Object.entries(said.causes).map(([cause, what]) => h("li", h("code", cause), ` an LSTM ${what}`)))),
    divergenceOf(row)?.reason && h("div.diagnosis", h("h2", "Why"), h("p", divergenceOf(row).reason)),
    repro(row),
    h("div.columns.wide",
      h("section", h("h2", "Tensors"), tensorTable([name, id], tensors, wrong, shown), unchecked(said)),
      h("section", h("h2", "Case"), described(row, held.options[caseOf(row)]))),
    shown && tensor([name, id], shown, tensors[shown], wrong[shown], element),
    said.traceback && h("section", h("h2", "Where it raised"), h("pre.trace", { tabindex: "0" }, said.traceback)),
    said.notes && h("section", h("h2", "Notes"), h("ul.plain", said.notes.map((note) => h("li", note)))),
    h("section", h("h2", "Provenance"), facts(provenance(row, held.profiles[held.profile[row]]))),
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
    h("thead", h("tr", ["tensor", "error ratio", ""].map((text) => h("th", { scope: "col" }, text || h("span.unseen", "verdict"))))),
    h("tbody", names.map((each) => h(`tr${each === shown ? ".chosen" : ""}`,
      h("th", { scope: "row" }, h("a", { href: to("result", [...parts, each]), "aria-current": each === shown ? "true" : null }, each)),
      h("td.error-ratio", meter(tensors[each]), errorRatioText(tensors[each])),
      h("td", each in wrong ? h("span.t-fail", "✗", h("span.word", " deviates")) : h("span.t-pass", "✓", h("span.word", " within"))))))));
}

function unchecked(said) {
  return Object.entries(said.unchecked ?? {}).map(([feature, reason]) => h("p.small", `Run without ${feature}: ${reason}.`));
}

function described(row, options) {
  const { links = [], notes = "", ...rest } = options ?? {};
  const line = data.cases.line[caseOf(row)];
  const text = yaml(rest);
  return [
    text ? h("div.code", h("pre", { tabindex: "0", "aria-label": "The case as YAML" }, text), copier(text, "the case")) : h("p.none", "no data: written before cases were kept."),
    notes && h("p", notes),
    links.length > 0 && h("p", links.map((link) => [outside(link), " "])),
    facts({
      file: line ? `${caseId(row).split("::")[0]}, line ${line}` : caseId(row).split("::")[0],
      key: data.cases.key[caseOf(row)], features: featuresOf(row).join(", "), tags: tagsOf(row).join(", "), dtype: dtypeOf(row),
    }),
    h("p", h("a", { href: to("case", [caseId(row)]) }, "This case on all implementations")),
  ];
}

function repro(row) {
  const { spec, name } = data.implementations[data.rows.implementation[row]];
  const id = caseId(row);
  const chosen = /[\s()]/.test(id) ? `'${id}'` : id;
  const [file] = id.split("::");
  const own = data.own_files.includes(file) ? `${quoted(file)} ` : "";
  const lines = [`conformance run ${own}-i ${quoted(spec)} -k ${quoted(chosen)}`];
  const known = divergenceOf(row);
  if (known) lines.push(`conformance repro ${quoted(known.id)} | python -`);
  lines.push(`pytest ${quoted(`${id}[${name}]`)}${spec === name ? "" : ` --conformance-implementation ${quoted(spec)}`}`);
  return h("section.repro", h("h2", "To see it again"), lines.map((line) => h("div.code", h("pre", { tabindex: "0" }, line), copier(line, "the command"))));
}

function provenance(row, profile) {
  const about = data.implementations[data.rows.implementation[row]];
  return {
    "largest error ratio": digits(errorRatio(row)),
    "budget of the profile": profile || "no data",
    ...about.versions, ...about.description,
    suite: data.suite, ...data.machine, ...data.threads,
  };
}
