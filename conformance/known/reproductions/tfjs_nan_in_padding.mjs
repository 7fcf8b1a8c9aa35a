// tf.layers.lstm: NaN in a masked step reaches the output and the final states.
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
const options = { units: 2, recurrentActivation: "sigmoid", returnSequences: true, returnState: true };
const layer = tf.layers.lstm(options);
const mask = tf.tensor2d([[1, 1, 0]], undefined, "bool"); // The last step is padding.
const states = (padding) => {
  const [output, h, c] = layer.apply(tf.tensor3d([[[1], [2], [padding]]]), { mask });
  return [...output.dataSync(), ...h.dataSync(), ...c.dataSync()];
};
const [zero, large, nan] = [states(0), states(1e6), states(NaN)];

console.log("padding of 1e6 changes nothing:", String(large) === String(zero));
console.log("padding of NaN leaves all results finite:", nan.every(Number.isFinite), nan);
process.exit(nan.every(Number.isFinite) ? 0 : 1); // 1: it still happens
