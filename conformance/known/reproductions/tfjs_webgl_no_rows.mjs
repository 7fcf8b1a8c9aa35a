// tf.layers.lstm on WebGL, in headless Chromium: the gradient of a batch without rows raises.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";

const script = `
  const differentiate = (backend) => {
    tf.setBackend(backend);
    const layer = tf.layers.lstm({ units: 4 });
    try {
      return "shape " + tf.grad((x) => layer.apply(x).sum())(tf.zeros([0, 3, 2])).shape;
    } catch (error) {
      return error.message;
    }
  };
  document.body.textContent = [differentiate("cpu"), differentiate("webgl")].join("; ");
`;
const path = `${process.cwd()}/page.html`;
writeFileSync(path, `<body><script src="node_modules/@tensorflow/tfjs/dist/tf.min.js"></script><script>${script}</script>`);
const options = "--headless --no-sandbox --use-angle=swiftshader --enable-unsafe-swiftshader --dump-dom";
const dom = execFileSync("chromium", [...options.split(" "), `file://${path}`], { stdio: ["ignore", "pipe", "ignore"] });
rmSync(path);
const [cpu, webgl] = String(dom).match(/<body>(.*)<\/body>/)[1].split("; ");

console.log({ cpu, webgl });
console.log("both backends compute the gradient:", webgl === cpu);
process.exit(webgl === cpu ? 0 : 1); // 1: it still happens
