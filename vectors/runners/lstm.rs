// Checks an LSTM in plain Rust against test vectors. docs/vectors.md describes the files and the equations.
// rustc -O vectors/runners/lstm.rs && ./lstm vectors/core.json
use std::collections::HashMap;

// ---- JSON. An object is a list of keys and values. null is NaN, true is 1, false is 0. Texts keep their escapes. ----

enum Json { Number(f64), Text(String), List(Vec<Json>) }

impl Json {
    fn parse(text: &mut &str) -> Json {
        *text = text.trim_start_matches([' ', '\n', ',', ':']);
        let bytes = text.as_bytes();
        let (json, size) = match bytes[0] {
            b'"' => {
                let end = (1..).find(|i| bytes[*i] == b'"' && bytes[i - 1] != b'\\').unwrap();
                (Json::Text(text[1..end].to_string()), end + 1)
            }
            b'[' | b'{' => {
                let mut items = Vec::new();
                *text = &text[1..];
                while { *text = text.trim_start_matches([' ', '\n', ',']); !text.starts_with([']', '}']) } {
                    items.push(Json::parse(text));
                }
                (Json::List(items), 1)
            }
            _ => {
                let end = text.find([',', ']', '}', '\n']).expect("the file is incomplete");
                let word = text[..end].replace("null", "nan").replace("true", "1").replace("false", "0");
                (Json::Number(word.parse().expect("not a number")), end)
            }
        };
        *text = &text[size..];
        json
    }
    fn list(&self) -> &[Json] { if let Json::List(items) = self { items } else { &[] } }
    fn text(&self) -> &str { if let Json::Text(text) = self { text } else { "" } }
    fn number(&self) -> f64 { if let Json::Number(number) = self { *number } else { 0.0 } }
    fn numbers(&self) -> impl Iterator<Item = f64> + '_ { self.list().iter().map(Json::number) }
    fn members(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.list().chunks(2).map(|pair| (pair[0].text(), &pair[1]))
    }
    fn get(&self, key: &str) -> &Json { self.members().find(|(name, _)| *name == key).expect(key).1 }
}

// ---- The LSTM: t steps, b rows, i features, h units, l layers, d directions. ----

struct Lstm { t: usize, b: usize, i: usize, h: usize, l: usize, d: usize, reverse: bool, batch_first: bool }
type Arrays = HashMap<String, Vec<f32>>;
const GATES: [&str; 4] = ["input", "forget", "candidate", "output"];

fn sigmoid(x: f32) -> f32 { 1.0 / (1.0 + (-x).exp()) }

fn dot(a: &[f32], b: &[f32]) -> f32 { a.iter().zip(b).map(|(a, b)| a * b).sum() }

impl Lstm {
    /// Runs direction d of one layer. x has rows of `width` elements, y of D * H. Updates h and c (B, H).
    fn run(&self, given: &Arrays, [layer, d]: [usize; 2], x: &[f32], y: &mut [f32], h: &mut [f32], c: &mut [f32]) {
        let (reverse, hidden) = (self.reverse || d == 1, self.h);
        let width = if layer == 0 { self.i } else { self.d * hidden };
        let array = |role: &str| given.get(&format!("{role}_l{layer}{}", if reverse { "_reverse" } else { "" }));
        let (w_ih, w_hh) = (array("weight_ih").unwrap(), array("weight_hh").unwrap());
        let (b_ih, b_hh) = (array("bias_ih"), array("bias_hh"));
        for step in 0..self.t * self.b {
            let (b, t) = (step % self.b, if reverse { self.t - 1 - step / self.b } else { step / self.b });
            if given.get("lengths").is_some_and(|lengths| t >= lengths[b] as usize) { continue; }
            let row = if self.batch_first { b * self.t + t } else { t * self.b + b };
            let (state, before) = (b * hidden..(b + 1) * hidden, h[b * hidden..(b + 1) * hidden].to_vec());
            for j in 0..hidden {
                let gate = |name: &str| {
                    let k = GATES.iter().position(|gate| *gate == name).unwrap() * hidden + j;
                    let bias = b_ih.map_or(0.0, |b| b[k]) + b_hh.map_or(0.0, |b| b[k]);
                    let sum = bias + dot(&w_ih[k * width..][..width], &x[row * width..]);
                    sum + dot(&w_hh[k * hidden..][..hidden], &before)
                };
                let now = &mut c[state.start + j];
                *now = sigmoid(gate("forget")) * *now + sigmoid(gate("input")) * gate("candidate").tanh();
                h[state.start + j] = sigmoid(gate("output")) * now.tanh();
            }
            y[(row * self.d + d) * hidden..][..hidden].copy_from_slice(&h[state]);
        }
    }

    /// Runs all layers. Returns the output and the final states.
    fn forward(&self, given: &Arrays) -> Arrays {
        let size = self.b * self.h;
        let state = |name| given.get(name).cloned().unwrap_or(vec![0.0; self.l * self.d * size]);
        let (mut h, mut c, mut x) = (state("h_0"), state("c_0"), given["input"].clone());
        for layer in 0..self.l {
            let mut y = vec![0.0; self.t * self.d * size];
            for d in 0..self.d {
                let own = (layer * self.d + d) * size..(layer * self.d + d + 1) * size;
                self.run(given, [layer, d], &x, &mut y, &mut h[own.clone()], &mut c[own]);
            }
            x = y;
        }
        [("output", x), ("h_n", h), ("c_n", c)].map(|(name, array)| (name.to_string(), array)).into()
    }
}

// ---- Vectors. ----

const FEATURES: &str = "float32 layers bidirectional reverse lengths no bias unbatched batch first state omitted";

/// Returns whether a vector passes, and excludes the mistakes that do not explain the results.
fn check(vector: &Json, excluded: &mut [bool]) -> bool {
    let (options, probe) = (vector.get("options"), vector.get("probe"));
    let size = |name: &str| options.get(name).number() as usize;
    let direction = options.get("direction").text();
    let (d, reverse) = (if direction == "bidirectional" { 2 } else { 1 }, direction == "reverse");
    let (t, b, i, h) = (size("seq_len"), size("batch").max(1), size("input_size"), size("hidden_size"));
    let lstm = Lstm { t, b, i, h, l: size("num_layers"), d, reverse, batch_first: size("batch_first") == 1 };
    let floats = |array: &Json| array.get("data").numbers().map(|x| x as f32).collect();
    let given = vector.get("given").members().map(|(name, array)| (name.to_string(), floats(array))).collect();
    let solution = lstm.forward(&given);
    let mut wrong = 0;
    for (name, tensor) in vector.get("expected").members() {
        let budgets = vector.get("budget").get(name).get("data").numbers();
        for ((expected, budget), got) in tensor.get("data").numbers().zip(budgets).zip(&solution[name]) {
            let conforms = (f64::from(*got) - expected).abs() <= budget || (got.is_nan() && expected.is_nan());
            wrong += usize::from(!conforms);
        }
    }
    println!("{} {}: {wrong} elements are off", if wrong > 0 { "FAIL" } else { "pass" }, vector.get("name").text());
    let got = f64::from(solution[probe.get("tensor").text()][probe.get("element").number() as usize]);
    for (n, predicted) in probe.get("predicted").numbers().enumerate() {
        let detected = vector.get("detects").text().as_bytes()[n] == b'1';
        let differs = wrong > 0 && (got - predicted).abs() > probe.get("within").number(); // false without a prediction
        excluded[n] |= detected != (wrong > 0) || differs;
    }
    wrong == 0
}

fn main() {
    let path = std::env::args().nth(1).expect("usage: lstm FILE");
    let file = Json::parse(&mut std::fs::read_to_string(path).expect("cannot read the file").as_str());
    let mistakes = file.get("mistakes").list();
    let (mut excluded, mut passes) = (vec![false; mistakes.len()], true);
    for vector in file.get("vectors").list() {
        if vector.get("features").list().iter().all(|feature| FEATURES.contains(feature.text())) {
            passes &= check(vector, &mut excluded);
        }
    }
    if !passes {
        println!("mistakes that explain these results:");
        for (mistake, _) in mistakes.iter().zip(excluded).filter(|(_, excluded)| !excluded) {
            println!("  {}: {}", mistake.get("id").text(), mistake.get("sentence").text());
        }
        std::process::exit(1);
    }
}
