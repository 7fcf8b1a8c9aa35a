// tf.layers.lstm: an initial state with a single row, or a c_0 with a single unit, is accepted and broadcast.
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
const layer = tf.layers.lstm({ units: 2, recurrentActivation: "sigmoid", returnSequences: true });
const called = (h, c) => {
  try {
    return layer.apply(tf.ones([3, 4, 2]), { initialState: [tf.ones(h), tf.ones(c)] }).shape;
  } catch (error) {
    return error.message;
  }
};
const given = { "h_0 (1, 2)": [[1, 2], [3, 2]], "c_0 (1, 2)": [[3, 2], [1, 2]], "c_0 (3, 1)": [[3, 2], [3, 1]] };
const results = Object.entries(given).map(([name, shapes]) => [name, called(...shapes)]);

for (const [name, result] of results) console.log(`three rows, two units, ${name}:`, result);
const refused = results.every(([, result]) => !Array.isArray(result));
console.log("wrong states are refused:", refused);
process.exit(refused ? 0 : 1); // 1: it still happens
