/** What the harnesses share about cases: names, and parts of tensors, of layers and directions. */
import { joined, rows } from "./tensors.mjs";

/** Units of each layer. */
export const hiddenSizes = (c) =>
  [c.hidden_size].flat().concat(Array(c.num_layers).fill(c.hidden_size)).slice(0, c.num_layers);

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
  isUniform(c) ? { [name]: joined(layers) } : Object.fromEntries(layers.map((layer, k) => [`${name}_l${k}`, layer]));

/** The gates' blocks of H rows, stacked in one order, stacked in another. */
export function reordered(tensor, stored, wanted) {
  const height = tensor.shape[0] / stored.length;
  const block = (gate) => rows(tensor, stored.indexOf(gate) * height, (stored.indexOf(gate) + 1) * height);
  return joined([...wanted].map(block));
}
