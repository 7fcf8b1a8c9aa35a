/** What the harnesses share about cases: their features, why one is declined, a layer's weights and states. */
import { joined, rows } from "./tensors.mjs";

/** What a case has beyond one plain forward layer, by the names of conformance/features.py. */
export function features(c) {
  const has = {
    layers: c.num_layers > 1,
    "sizes per layer": !isUniform(c),
    bidirectional: c.direction === "bidirectional",
    reverse: c.direction === "reverse",
    lengths: c.lengths !== null,
    projection: c.proj_size > 0,
    dropout: c.dropout > 0,
    "no bias": !c.bias,
    unbatched: c.batch === "unbatched",
    "batch first": c.batch_first,
    "state omitted": c.initial_state === "omitted",
    peepholes: c.peepholes,
    "coupled gates": c.coupled_gates,
    activations: c.activations.join() !== "sigmoid,tanh,tanh",
    "activations per direction": c.activations.slice(0, 3).join() !== c.activations.slice(-3).join(),
    clip: c.clip !== null,
    "cell clip": c.cell_clip !== null,
    "forget bias": c.forget_bias !== 0,
    "left mask": c.mask === "left",
    "holed mask": c.mask === "holed",
    "input dropout": c.input_dropout > 0,
    "recurrent dropout": c.recurrent_dropout > 0,
    gradients: c.check.includes("gradients"),
    [c.dtype]: true,
  };
  return Object.keys(has).filter((feature) => has[feature]);
}

/** Options that are a feature above, or need none. */
// prettier-ignore
const KNOWN = [
  "input_size", "hidden_size", "num_layers", "direction", "bias", "batch_first", "proj_size", "dropout", "input_dropout",
  "recurrent_dropout", "mode", "peepholes", "coupled_gates", "activations", "clip", "cell_clip", "forget_bias",
  "seq_len", "batch", "lengths", "mask", "padding", "initial_state", "dtype", "values", "check",
  "tags", "notes", "links", "name", "file", "line",
];

/** Why a case is declined: for a feature that is not among those given, or an option that is not known here; or null. */
export function refusal(c, name, supported, lacks) {
  const lacking = features(c).find((feature) => !supported.includes(feature));
  if (lacking) return lacks[lacking] ?? `${name} has no ${lacking}`;
  const unknown = Object.keys(c).find((option) => c[option] && !KNOWN.includes(option));
  return unknown ? `${name} has no ${unknown.replaceAll("_", " ")}` : null;
}

/** Units of each layer. */
export const hiddenSizes = (c) => [c.hidden_size].flat().concat(Array(c.num_layers).fill(c.hidden_size)).slice(0, c.num_layers);

const isUniform = (c) => new Set(hiddenSizes(c)).size === 1;

const SUFFIXES = { forward: [""], reverse: ["_reverse"], bidirectional: ["", "_reverse"] };

/** How the parameters' names of a layer end, a name for each direction: `l1`, `l1_reverse`. */
export const ends = (c, layer) => SUFFIXES[c.direction].map((suffix) => `l${layer}${suffix}`);

/** A layer's part (D, B, ·) of `h_0`, `cotangent.c_n` and so on. */
export function state(c, tensors, name, layer) {
  const directions = ends(c, layer).length;
  return isUniform(c)
    ? rows(tensors[name], layer * directions, (layer + 1) * directions)
    : tensors[`${name}_l${layer}`];
}

/** Such parts (D, B, ·) of all layers under their canonical names. */
export const states = (c, name, layers) =>
  isUniform(c)
    ? { [name]: joined(layers) }
    : Object.fromEntries(layers.map((layer, k) => [`${name}_l${k}`, layer]));

/** The gates' blocks of H rows, stacked in one order, stacked in another. */
export function reordered(tensor, stored, wanted) {
  const height = tensor.shape[0] / stored.length;
  const block = (gate) => rows(tensor, stored.indexOf(gate) * height, (stored.indexOf(gate) + 1) * height);
  return joined([...wanted].map(block));
}
