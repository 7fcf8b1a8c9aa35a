/** Names and parts of a case's tensors, by layer and direction. All harnesses use them. */
import { concatenated, rows } from "./tensors.mjs";

/** Hidden size of each layer. */
export const hiddenSizes = (c) =>
  [c.hidden_size].flat().concat(Array(c.num_layers).fill(c.hidden_size)).slice(0, c.num_layers);

const isUniform = (c) => new Set(hiddenSizes(c)).size === 1;

const SUFFIXES = { forward: [""], reverse: ["_reverse"], bidirectional: ["", "_reverse"] };

/** Suffixes of a layer's parameter names, one per direction: `l1`, `l1_reverse`. */
export const ends = (c, layer) => SUFFIXES[c.direction].map((suffix) => `l${layer}${suffix}`);

/** Returns a layer's part (D, B, ·) of `h_0`, `cotangent.c_n` or another state. */
export function state(c, tensors, name, layer) {
  const directions = ends(c, layer).length;
  return isUniform(c)
    ? rows(tensors[name], layer * directions, (layer + 1) * directions)
    : tensors[`${name}_l${layer}`];
}

/** Returns the parts (D, B, ·) of all layers under their canonical names. */
export const states = (c, name, layers) =>
  isUniform(c)
    ? { [name]: concatenated(layers) }
    : Object.fromEntries(layers.map((layer, k) => [`${name}_l${k}`, layer]));

/** Reorders the gates' blocks of H rows from the order `stored` to the order `wanted`. */
export function reordered(tensor, stored, wanted) {
  const height = tensor.shape[0] / stored.length;
  const block = (gate) => rows(tensor, stored.indexOf(gate) * height, (stored.indexOf(gate) + 1) * height);
  return concatenated([...wanted].map(block));
}
