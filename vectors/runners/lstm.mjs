// Checks an LSTM in plain JavaScript against test vectors. docs/vectors.md describes the files and the equations.
// node vectors/runners/lstm.mjs vectors/core.json
import { readFileSync } from "node:fs";

const FEATURES = [
  "float32", "float64", "layers", "bidirectional", "reverse", "lengths", "no bias", "unbatched", "batch first",
  "state omitted",
];

// ---- The LSTM: T steps, B rows, I features, H units, L layers, D directions. It computes in double precision. ----

const [INPUT, FORGET, CANDIDATE, OUTPUT] = [0, 1, 2, 3];
const sigmoid = (x) => 1 / (1 + Math.exp(-x));

/** Runs one direction of one layer. x has rows of `width` elements, y has rows of D * H. Updates h and c in place. */
function run(lstm, given, layer, reverse, x, width, y, h, c) {
  const { T, B, H, D, batchFirst } = lstm;
  const end = `_l${layer}${reverse ? "_reverse" : ""}`;
  const [wIh, wHh, bIh, bHh] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"].map((role) => given[role + end]);
  const direction = reverse && D === 2 ? 1 : 0;
  const first = (layer * D + direction) * B * H; // of this direction's states
  for (let step = 0; step < T; step++) {
    const t = reverse ? T - 1 - step : step;
    for (let b = 0; b < B; b++) {
      if (given.lengths && t >= given.lengths[b]) continue;
      const row = batchFirst ? b * T + t : t * B + b;
      const state = first + b * H;
      const next = [];
      for (let j = 0; j < H; j++) {
        const z = [0, 1, 2, 3].map((gate) => {
          const k = gate * H + j;
          let sum = bIh ? bIh[k] + bHh[k] : 0;
          for (let i = 0; i < width; i++) sum += wIh[k * width + i] * x[row * width + i];
          for (let i = 0; i < H; i++) sum += wHh[k * H + i] * h[state + i];
          return sum;
        });
        c[state + j] = sigmoid(z[FORGET]) * c[state + j] + sigmoid(z[INPUT]) * Math.tanh(z[CANDIDATE]);
        next.push(sigmoid(z[OUTPUT]) * Math.tanh(c[state + j]));
      }
      for (let j = 0; j < H; j++) h[state + j] = y[(row * D + direction) * H + j] = next[j];
    }
  }
}

/** Runs all layers. Returns the output and the final states. */
function forward(lstm, given) {
  const { T, B, I, H, L, D, reverse } = lstm;
  const zeros = (size) => new Array(size).fill(0);
  const h = given.h_0?.slice() ?? zeros(L * D * B * H);
  const c = given.c_0?.slice() ?? zeros(L * D * B * H);
  let x = given.input;
  for (let layer = 0; layer < L; layer++) {
    const y = zeros(T * B * D * H);
    for (let d = 0; d < D; d++) run(lstm, given, layer, reverse || d === 1, x, layer ? D * H : I, y, h, c);
    x = y;
  }
  return { output: x, h_n: h, c_n: c };
}

// ---- Vectors. ----

/** Returns the results of the LSTM for a vector. */
function solve({ options, given }) {
  const lstm = {
    T: options.seq_len,
    B: options.batch === "unbatched" ? 1 : options.batch,
    I: options.input_size,
    H: options.hidden_size,
    L: options.num_layers,
    D: options.direction === "bidirectional" ? 2 : 1,
    reverse: options.direction === "reverse",
    batchFirst: options.batch_first,
  };
  // The decimals of a float32 vector identify numbers in float32. null is NaN.
  const read = (x) => (x === null ? NaN : options.dtype === "float32" ? Math.fround(x) : x);
  const arrays = Object.entries(given).map(([name, { data }]) => [name, data.map(read)]);
  return forward(lstm, Object.fromEntries(arrays));
}

/** Returns the number of elements that are not within their budgets. */
function countWrong(vector, solution) {
  let wrong = 0;
  for (const [name, { data }] of Object.entries(vector.expected))
    data.forEach((expected, i) => {
      const got = solution[name][i];
      const conforms =
        expected === null ? Number.isNaN(got) : Math.abs(got - expected) <= vector.budget[name].data[i];
      if (!conforms) wrong++;
    });
  return wrong;
}

/** Returns whether mistake n explains the results of a vector. */
function explains(n, vector, solution, wrong) {
  const { tensor, element, within, predicted } = vector.probe;
  if ((vector.detects[n] === "1") !== wrong > 0) return false;
  return !wrong || predicted[n] === null || Math.abs(solution[tensor][element] - predicted[n]) <= within;
}

const { vectors, mistakes } = JSON.parse(readFileSync(process.argv[2], "utf8"));
let explanations = mistakes.map((mistake, n) => ({ ...mistake, n }));
let passes = true;
for (const vector of vectors.filter(({ features }) => features.every((feature) => FEATURES.includes(feature)))) {
  const solution = solve(vector);
  const wrong = countWrong(vector, solution);
  console.log(`${wrong ? "FAIL" : "pass"} ${vector.name}: ${wrong} elements are off`);
  explanations = explanations.filter(({ n }) => explains(n, vector, solution, wrong));
  if (wrong) passes = false;
}
if (!passes) {
  console.log("mistakes that explain these results:");
  for (const { id, sentence } of explanations) console.log(`  ${id}: ${sentence}`);
}
process.exitCode = passes ? 0 : 1;
