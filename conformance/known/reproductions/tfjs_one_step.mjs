// tf.layers.lstm: the gradient of a sequence with a single step raises. Longer sequences have a gradient.
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
const layer = tf.layers.lstm({ units: 2, recurrentActivation: "sigmoid", returnSequences: true });
const gradient = (steps) => {
  try {
    return tf.grad((x) => tf.sum(layer.apply(x)))(tf.ones([1, steps, 3])).shape;
  } catch (error) {
    return error.message;
  }
};
const [two, one] = [gradient(2), gradient(1)];

console.log("gradient of two steps:", two);
console.log("gradient of one step:", one);
console.log("a single step has a gradient:", Array.isArray(one));
process.exit(Array.isArray(one) ? 0 : 1); // 1: it still happens
