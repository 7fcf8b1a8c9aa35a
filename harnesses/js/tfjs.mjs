/**
 * Harness of `tf.layers.lstm` of TensorFlow.js, with gradients. `node tfjs.mjs` runs its CPU backend, which is plain
 * JavaScript; `node tfjs.mjs wasm` runs its WebAssembly backend.
 *
 * One layer feeds the next. In a bidirectional stack each layer is wrapped in `tf.layers.bidirectional`.
 */
import { ends, hiddenSizes, state, states } from "./cases.mjs";
import { concatenated, unsqueezed, rows, swapped } from "./tensors.mjs";
import { serve } from "./worker.mjs";

// prettier-ignore
const FEATURES = [
  "layers", "sizes per layer", "bidirectional", "reverse", "lengths", "no bias", "batch first", "state omitted",
  "activations", "left mask", "holed mask", "input dropout", "recurrent dropout", "gradients", "float32",
];

/** Names of activations in TensorFlow.js. */
// prettier-ignore
const ACTIVATIONS = {
  sigmoid: "sigmoid", tanh: "tanh", relu: "relu", elu: "elu", hard_sigmoid: "hardSigmoid", softsign: "softsign",
};

const WASM = process.argv[2] === "wasm";
const PACKAGES = ["@tensorflow/tfjs", ...(WASM ? ["@tensorflow/tfjs-backend-wasm"] : [])];

let tf;

async function load() {
  [tf] = await Promise.all(PACKAGES.map((name) => import(name)));
  const backend = WASM ? "wasm" : "cpu";
  if (!(await tf.setBackend(backend))) throw new Error(`cannot initialize the backend ${backend}`);
  return {
    device: tf.getBackend(),
    stacked: "one layer after another, each in tf.layers.bidirectional if the stack is bidirectional",
    lengths: "mask",
    "time-major": "input, output and their gradients are transposed: layers take (batch, time, features) only",
    "cell dropout": "tf.dropout draws the masks, as in tf.layers; dropoutFunc passes it the seeds",
    gradients: "tf.variableGrads",
  };
}

function supports(c) {
  if (c.direction === "reverse" && c.num_layers > 1)
    return "tf.layers.lstm({goBackwards: true}) returns its output last step first, which the next layer reverses";
  const [gate, candidate, cell] = c.activations;
  if (candidate !== cell) return "tf.layers.lstm has a single activation for the candidate and the cell state";
  const unknown = [gate, candidate].find((name) => !(name in ACTIVATIONS));
  return unknown ? `TensorFlow.js has no activation ${unknown}` : null;
}

/** TensorFlow.js repeats the last valid output at masked steps, and returns reverse-only outputs last step first. */
const dialect = (c) => ({ padding: "repeat", reverse_output: c.direction === "reverse" ? "processing" : "input" });

/** Runs the stack and, if the case compares gradients, differentiates it. */
function solve(c, tensors) {
  tf.engine().startScope();
  const layers = hiddenSizes(c).map((_, layer) => makeLayer(c, tensors, layer));
  try {
    const x = variable(batchMajor(c, tensors.input));
    const given = c.initial_state !== "omitted";
    const names = given ? ["h_0", "c_0"] : [];
    const initial = layers.map((_, layer) => orderedStates(c, tensors, names, layer).map(variable));
    const mask = stepMask(c, tensors);
    const training = c.mode === "train";
    const run = () => {
      let sequence = x;
      const finals = layers.map((layer, k) => {
        const options = given ? { mask, training, initialState: initial[k] } : { mask, training };
        const [output, ...final] = layer.apply(sequence, options);
        sequence = output;
        return final;
      });
      return [sequence, ...finals.flat()].map((tensor) => tf.keep(tensor));
    };
    if (!c.check.includes("gradients")) return results(c, run());
    const cotangents = [batchMajor(c, tensors["cotangent.output"])];
    layers.forEach((_, k) => cotangents.push(...orderedStates(c, tensors, ["cotangent.h_n", "cotangent.c_n"], k)));
    const weights = layers.map((layer) => layer.trainableWeights.map((weight) => weight.val));
    let outputs;
    const total = () => {
      outputs = run();
      return tf.addN(outputs.map((output, k) => tf.sum(tf.mul(output, tensor(cotangents[k])))));
    };
    const { grads } = tf.variableGrads(total, [x, ...initial.flat(), ...weights.flat()]);
    const gradient = (source) => array(grads[source.name]);
    return { ...results(c, outputs), ...gradients(c, gradient(x), initial, weights, gradient) };
  } finally {
    tf.engine().endScope();
    tf.disposeVariables();
  }
}

/** Creates a layer with a problem's weights. */
function makeLayer(c, tensors, layer) {
  const [recurrentActivation, activation] = c.activations.map((name) => ACTIVATIONS[name]);
  const one = tf.layers.lstm({
    units: hiddenSizes(c)[layer],
    activation,
    recurrentActivation,
    useBias: c.bias,
    kernelInitializer: "zeros",
    recurrentInitializer: "zeros",
    unitForgetBias: false,
    dropout: c.input_dropout,
    recurrentDropout: c.recurrent_dropout,
    returnSequences: true,
    returnState: true,
    goBackwards: c.direction === "reverse",
  });
  const both = c.direction === "bidirectional";
  const whole = both ? tf.layers.bidirectional({ layer: one, mergeMode: "concat" }) : one;
  const weights = ends(c, layer).map((end) => packed(c, tensors, end));
  whole.apply(tf.input({ shape: [null, weights[0][0].shape[0]] })); // Creates the weights.
  whole.setWeights(weights.flat().map(tensor));
  const cells = both ? [whole.forwardLayer.cell, whole.backwardLayer.cell] : [one.cell];
  ends(c, layer).forEach((end, k) => (cells[k].dropoutFunc = makeDropout(end)));
  return whole;
}

/** Returns a seeded `tf.dropout` for one cell. Masks differ between calls and repeat between runs. */
function makeDropout(end) {
  let asked = 0;
  return (ones, rate) => tf.dropout(ones, rate, undefined, `${end} ${asked++}`);
}

/**
 * Returns the masks that `solve` draws. A cell draws four for its input, then four for its hidden state, and uses the
 * first of each.
 */
function masks(c, tensors) {
  const found = {};
  for (const [layer, units] of hiddenSizes(c).entries())
    for (const end of ends(c, layer)) {
      const draw = makeDropout(end);
      const width = { input: tensors[`weight_ih_${end}`].shape[1], recurrent: units };
      for (const [kind, rate] of Object.entries({ input: c.input_dropout, recurrent: c.recurrent_dropout }))
        if (rate) {
          const shape = [c.batch, width[kind]];
          const [first] = rate < 1 ? [1, 2, 3, 4].map(() => draw(tf.ones(shape), rate)) : [tf.zeros(shape)];
          found[`${kind}_${end}`] = array(first);
        }
    }
  return found;
}

/** Returns one direction's weights in TensorFlow.js' order: kernel (I, 4H), recurrent kernel (H, 4H), bias (4H,). */
function packed(c, tensors, end) {
  const kernels = ["weight_ih", "weight_hh"].map((role) => swapped(tensors[`${role}_${end}`]));
  if (!c.bias) return kernels;
  const [{ shape, data }, { data: recurrent }] = ["bias_ih", "bias_hh"].map((role) => tensors[`${role}_${end}`]);
  return [...kernels, { dtype: "F32", shape, data: data.map((value, k) => value + recurrent[k]) }];
}

/** Returns a layer's states (B, H) in TensorFlow.js' order: h and c of each direction in turn. */
const orderedStates = (c, tensors, names, layer) =>
  ends(c, layer).flatMap((_, direction) =>
    names.map((name) => first(rows(state(c, tensors, name, layer), direction, direction + 1))),
  );

/** Returns the output and each layer's final states, given in TensorFlow.js' order, under their canonical names. */
function results(c, [output, ...finals]) {
  const found = { output: batchMajor(c, array(output)), ...namedStates(c, ["h_n", "c_n"], finals.map(array)) };
  tf.dispose([output, ...finals]);
  return found;
}

/** Returns the gradients of input, initial states and weights under their canonical names. */
function gradients(c, input, initial, weights, gradient) {
  const found = { "grad.input": batchMajor(c, input) };
  if (initial[0].length) Object.assign(found, namedStates(c, ["grad.h_0", "grad.c_0"], initial.flat().map(gradient)));
  weights.forEach((layer, k) => {
    const width = layer.length / ends(c, k).length;
    ends(c, k).forEach((end, direction) => {
      const [kernel, recurrent, bias] = layer.slice(direction * width, (direction + 1) * width).map(gradient);
      found[`grad.weight_ih_${end}`] = swapped(kernel);
      found[`grad.weight_hh_${end}`] = swapped(recurrent);
      if (bias) found[`grad.bias_ih_${end}`] = found[`grad.bias_hh_${end}`] = bias;
    });
  });
  return found;
}

/** Returns the states of all layers, given in TensorFlow.js' order, under their canonical names. */
function namedStates(c, names, flat) {
  const each = 2 * ends(c, 0).length;
  const layers = hiddenSizes(c).map((_, layer) => flat.slice(layer * each, (layer + 1) * each));
  const of = (k) => layers.map((layer) => concatenated(layer.filter((_, at) => at % 2 === k).map(unsqueezed)));
  return Object.assign({}, ...names.map((name, k) => states(c, name, of(k))));
}

/** Returns the mask of valid steps (B, T), or null if all are valid. */
function stepMask(c, { lengths, mask }) {
  if (mask) return tensor(swapped(mask));
  if (!lengths) return null;
  const counts = [...lengths.data].map((length) => Array.from({ length: c.seq_len }, (_, step) => step < length));
  return tf.tensor2d(counts, undefined, "bool");
}

/** Converts a case's input, output or cotangent to (B, T, ·), or such a tensor to the case's axes. */
const batchMajor = (c, array) => (c.batch_first ? array : swapped(array));

const first = ({ dtype, shape, data }) => ({ dtype, shape: shape.slice(1), data });

const tensor = ({ dtype, shape, data }) =>
  tf.tensor(dtype === "F64" ? Float32Array.from(data) : data, shape, dtype === "BOOL" ? "bool" : "float32");

const variable = (array) => tf.variable(tensor(array));

const array = (result) => ({ dtype: "F32", shape: result.shape, data: result.dataSync() });

await serve({
  name: WASM ? "tfjs.layers.lstm[wasm]" : "tfjs.layers.lstm",
  needs: PACKAGES,
  features: FEATURES,
  load,
  supports,
  dialect,
  masks,
  solve,
});
