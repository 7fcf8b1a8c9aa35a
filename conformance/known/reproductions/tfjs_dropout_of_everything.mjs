// tf.layers.lstm: drops nothing with dropout 1 or recurrentDropout 1, the documented "fraction of the units to drop".
import * as tf from "@tensorflow/tfjs";

await tf.setBackend("cpu");
const run = (options) => {
  const ones = { kernelInitializer: "ones", recurrentInitializer: "ones", recurrentActivation: "sigmoid" };
  const layer = tf.layers.lstm({ units: 2, ...ones, ...options });
  return [...layer.apply(tf.ones([1, 3, 2]), { training: true }).dataSync()];
};
const none = run({});
const differs = (options) => String(run(options)) !== String(none);
const [input, recurrent] = [differs({ dropout: 1 }), differs({ recurrentDropout: 1 })];

console.log("dropout: 1 changes the output:", input);
console.log("recurrentDropout: 1 changes the output:", recurrent);
process.exit(input && recurrent ? 0 : 1); // 1: it still happens
