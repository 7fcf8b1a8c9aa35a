// tf.layers.lstm: a sequence without steps raises an internal error. A batch without rows gives empty results.
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
const layer = tf.layers.lstm({ units: 2, recurrentActivation: "sigmoid", returnSequences: true });
const called = (rows, steps) => {
  try {
    return layer.apply(tf.ones([rows, steps, 3])).shape;
  } catch (error) {
    return error.message;
  }
};
const [noRows, noSteps] = [called(0, 4), called(2, 0)];

console.log("output without rows:", noRows);
console.log("output without steps:", noSteps);
console.log("a sequence without steps has an empty output:", Array.isArray(noSteps));
process.exit(Array.isArray(noSteps) ? 0 : 1); // 1: it still happens
