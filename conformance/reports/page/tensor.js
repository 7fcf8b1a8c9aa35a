// One tensor of a result: histogram, heat map, worst elements.

import { h } from "./dom.js";
import { number } from "./data.js";
import { to } from "./state.js";
import { heatmap, histogram } from "./charts.js";
import { scroll } from "./parts.js";
import { formatCount, formatNumber, fromHex } from "./words.js";

export function tensor(result, name, errorRatio, detail, element) {
  const evidence = detail?.evidence;
  return h("section.tensor", { id: "tensor", tabindex: "-1" },
    h("h2", h("code", name), h("span.sub", errorRatio === undefined ? "" : ` error ratio ${formatNumber(errorRatio)}`)),
    detail ? h("p.reason", detail.reason) : h("p.ok", "Within budget."),
    evidence && h("div.charts", histogram(evidence), heatmap(evidence)),
    detail && (evidence ? worstElements(result, name, evidence.worst, element) : worstElement(detail)),
    !detail && h("p.small", "The results file contains elements of deviating tensors only."),
    detail && tolerances(detail));
}

function worstElements([implementation, caseId], name, elements, element) {
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
        h("td", decimalAndHex(wanted, expected)), h("td", decimalAndHex(found, got)),
        h("td.num", Number.isFinite(deviation) ? formatNumber(deviation) : "not finite"), h("td.num", formatNumber(allowed)),
        h("td.num", Number.isFinite(found) ? formatNumber(deviation / allowed) : "∞"),
        h("td", h("span.num", formatNumber(proven)), h("small", deviation <= proven ? "within: suspected" : "above: proven wrong")));
    })))));
}

// Shows the only element of a tensor without evidence. Only the worst tensors of a result have evidence.
function worstElement(detail) {
  const pairs = Object.entries(detail).filter(([key]) => !["reason", "evidence", "rtol_to_pass", "atol_to_pass"].includes(key));
  return h("div", h("h3", "Worst element"), h("dl.facts", pairs.map(([key, value]) =>
    [h("dt", key.replaceAll("_", " ")), h("dd", Array.isArray(value) ? `[${value.join(", ")}]` : String(value))])),
  h("p.small", "Histogram and heat map are available for the worst tensors of a result only."));
}

function decimalAndHex(value, hex) {
  return [h("span.num", Number.isFinite(value) ? String(value) : hex), h("small.hex", hex)];
}

function tolerances(detail) {
  const { rtol_to_pass: rtol, atol_to_pass: atol, wrong, of } = detail;
  return h("p.small",
    wrong !== undefined && `${formatCount(wrong)} of ${formatCount(of)} elements deviate. `,
    atol !== undefined && `The tensor would pass with atol = ${formatNumber(number(atol))} alone, or with rtol = ${formatNumber(number(rtol))} alone.`);
}
