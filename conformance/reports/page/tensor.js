// One tensor of a result: how its error ratios spread, where they lie, and its worst elements.

import { h } from "./dom.js";
import { number } from "./data.js";
import { to } from "./state.js";
import { heatmap, histogram } from "./charts.js";
import { scroll } from "./parts.js";
import { digits, fromHex, many } from "./words.js";

export function tensor(result, name, errorRatio, detail, element) {
  const evidence = detail?.evidence;
  return h("section.tensor", { id: "tensor", tabindex: "-1" },
    h("h2", h("code", name), h("span.sub", errorRatio === undefined ? "" : ` error ratio ${digits(errorRatio)}`)),
    detail ? h("p.reason", detail.reason) : h("p.ok", "Within budget."),
    evidence && h("div.charts", histogram(evidence), heatmap(evidence)),
    detail && (evidence ? worst(result, name, evidence.worst, element) : only(detail)),
    !detail && h("p.small", "Elements are kept of tensors that deviate only: no data here."),
    detail && needed(detail));
}

function worst([implementation, caseId], name, elements, element) {
  const titles = ["element", "where", "expected", "got", "deviation", "budget", "error ratio", "bound"];
  return h("div", h("h3", "Worst elements"), scroll("Worst elements", h("table.list.elements",
    h("thead", h("tr", titles.map((text) => h("th", { scope: "col" }, text)))),
    h("tbody", elements.map(([index, where, expected, got, budget, bound]) => {
      const [wanted, found] = [fromHex(expected), fromHex(got)];
      const deviation = Math.abs(found - wanted);
      const [allowed, proven] = [number(budget), number(bound)];
      const place = index.join(",");
      return h(`tr${place === element ? ".chosen" : ""}`, { "aria-current": place === element ? "true" : null },
        h("th", { scope: "row" }, h("a", { href: to("result", [implementation, caseId, name, place]) }, `[${index.join(", ")}]`)),
        h("td", where),
        h("td", both(wanted, expected)), h("td", both(found, got)),
        h("td.num", Number.isFinite(deviation) ? digits(deviation) : "not finite"), h("td.num", digits(allowed)),
        h("td.num", Number.isFinite(found) ? digits(deviation / allowed) : "∞"),
        h("td", h("span.num", digits(proven)), h("small", deviation <= proven ? "within: suspected" : "beyond: proven wrong")));
    })))));
}

// A row of an earlier version of the suite holds a single element.
function only(detail) {
  const pairs = Object.entries(detail).filter(([key]) => !["reason", "evidence", "rtol_to_pass", "atol_to_pass"].includes(key));
  return h("div", h("h3", "Worst element"), h("dl.facts", pairs.map(([key, value]) =>
    [h("dt", key.replaceAll("_", " ")), h("dd", Array.isArray(value) ? `[${value.join(", ")}]` : String(value))])),
  h("p.small", "How deviations spread is kept of the worst tensors of a result only."));
}

function both(value, hex) {
  return [h("span.num", Number.isFinite(value) ? String(value) : hex), h("small.hex", hex)];
}

function needed(detail) {
  const { rtol_to_pass: rtol, atol_to_pass: atol, wrong, of } = detail;
  return h("p.small",
    wrong !== undefined && `${many(wrong)} of ${many(of)} elements are wrong. `,
    atol !== undefined && `It would have passed with atol = ${digits(number(atol))} alone, or with rtol = ${digits(number(rtol))} alone.`);
}
