// tf.layers.lstm on WebAssembly: for a batch without rows, the gradient of the bias is the memory of earlier results.
import * as tf from "@tensorflow/tfjs";
import "@tensorflow/tfjs-backend-wasm";

await tf.setBackend("wasm");
const layer = tf.layers.lstm({ units: 4 });
layer.apply(tf.zeros([1, 3, 2])); // Creates the weights.
const bias = layer.trainableWeights[2].val;
const { grads } = tf.variableGrads(() => layer.apply(tf.zeros([0, 3, 2])).sum(), [bias]);
const gradient = [...grads[bias.name].dataSync()];

console.log("gradient of the bias:", gradient);
console.log("it is 0:", gradient.every((value) => value === 0));
process.exit(gradient.every((value) => value === 0) ? 0 : 1); // 1: it still happens
