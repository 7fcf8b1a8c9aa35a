// tf.layers.lstm: the output of a masked first step is h_0. In Keras on TensorFlow, its original, it is 0.
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
const layer = tf.layers.lstm({ units: 2, recurrentActivation: "sigmoid", returnSequences: true });
const mask = tf.tensor2d([[0, 1, 1]], undefined, "bool"); // The first step is padding.
const initialState = [tf.tensor2d([[0.7, -0.4]]), tf.zeros([1, 2])];
const output = layer.apply(tf.ones([1, 3, 1]), { mask, initialState });
const first = [...output.slice([0, 0, 0], [1, 1, 2]).dataSync()];

console.log("output of a masked first step is 0:", first.every((value) => value === 0), first);
process.exit(first.every((value) => value === 0) ? 0 : 1); // 1: it still happens
