// Checks an LSTM in plain Java against test vectors. docs/vectors.md describes the files and the equations.
// java vectors/runners/Lstm.java vectors/core.json
import java.nio.file.*;
import java.util.*;

public class Lstm {
    static final Set<String> FEATURES = Set.of("float32", "layers", "bidirectional", "reverse", "lengths", "no bias",
            "unbatched", "batch first", "state omitted");

    // ---- JSON: maps, lists, texts with their escapes, numbers as Double. null is NaN, true is 1, false is 0. ----

    static String text;
    static int at;
    static boolean isNext(String characters) { return characters.indexOf(text.charAt(at)) >= 0; }
    static void skip() { while (isNext(" \n,:")) at++; }

    static Object parse() {
        int start = at++;
        char first = text.charAt(start);
        if (first == '"') {
            while (!isNext("\"")) at += isNext("\\") ? 2 : 1;
            return text.substring(start + 1, at++);
        }
        if (first == '[' || first == '{') {
            List<Object> items = new ArrayList<>();
            for (skip(); !isNext("]}"); skip()) items.add(parse());
            at++;
            Map<String, Object> map = new LinkedHashMap<>();
            for (int i = 0; first == '{' && i < items.size(); i += 2) map.put((String) items.get(i), items.get(i + 1));
            return first == '{' ? map : items;
        }
        while (!isNext(",]}\n")) at++;
        String word = text.substring(start, at).replace("null", "NaN");
        return word.equals("true") ? 1.0 : word.equals("false") ? 0.0 : Double.parseDouble(word);
    }

    @SuppressWarnings("unchecked")
    static <T> T get(Object object, String... keys) {
        for (String key : keys) object = ((Map<String, Object>) object).get(key);
        return (T) object;
    }

    static double[] numbers(Object object, String... keys) {
        return Lstm.<List<Double>>get(object, keys).stream().mapToDouble(x -> x).toArray();
    }

    // ---- The LSTM: T steps, B rows, I features, H units, L layers, D directions. Computes in double. ----

    static final int INPUT = 0, FORGET = 1, CANDIDATE = 2, OUTPUT = 3;
    final int T, B, I, H, L, D;
    final boolean reverse, batchFirst;
    final Map<String, double[]> given = new LinkedHashMap<>();

    static double sigmoid(double x) { return 1 / (1 + Math.exp(-x)); }

    /** Runs one direction of one layer. x has rows of `width` elements, y has rows of D * H. Updates h and c. */
    void run(int layer, int direction, double[] x, int width, double[] y, double[] h, double[] c) {
        boolean backwards = reverse || direction == 1;
        String end = "_l" + layer + (backwards ? "_reverse" : "");
        double[] wIh = given.get("weight_ih" + end), wHh = given.get("weight_hh" + end);
        double[] bIh = given.get("bias_ih" + end), bHh = given.get("bias_hh" + end), lengths = given.get("lengths");
        for (int step = 0; step < T * B; step++) {
            int b = step % B, t = backwards ? T - 1 - step / B : step / B, row = batchFirst ? b * T + t : t * B + b;
            if (lengths != null && t >= lengths[b]) continue;
            int state = ((layer * D + direction) * B + b) * H;
            double[] next = new double[H], z = new double[4];
            for (int j = 0; j < H; j++) {
                for (int gate = 0; gate < 4; gate++) {
                    int k = gate * H + j;
                    z[gate] = bIh == null ? 0 : bIh[k] + bHh[k];
                    for (int i = 0; i < width; i++) z[gate] += wIh[k * width + i] * x[row * width + i];
                    for (int i = 0; i < H; i++) z[gate] += wHh[k * H + i] * h[state + i];
                }
                c[state + j] = sigmoid(z[FORGET]) * c[state + j] + sigmoid(z[INPUT]) * Math.tanh(z[CANDIDATE]);
                next[j] = sigmoid(z[OUTPUT]) * Math.tanh(c[state + j]);
            }
            System.arraycopy(next, 0, h, state, H);
            System.arraycopy(next, 0, y, (row * D + direction) * H, H);
        }
    }

    /** Runs all layers. Returns the output and the final states. */
    Map<String, double[]> forward() {
        double[] h = given.getOrDefault("h_0", new double[L * D * B * H]).clone(), x = given.get("input");
        double[] c = given.getOrDefault("c_0", new double[L * D * B * H]).clone();
        for (int layer = 0; layer < L; layer++) {
            double[] y = new double[T * B * D * H];
            for (int d = 0; d < D; d++) run(layer, d, x, layer == 0 ? I : D * H, y, h, c);
            x = y;
        }
        return Map.of("output", x, "h_n", h, "c_n", c);
    }

    // ---- Vectors. ----

    static int size(Object vector, String option) {
        return Lstm.<Object>get(vector, "options", option) instanceof Double number ? number.intValue() : 1;
    }

    Lstm(Object vector) {
        T = size(vector, "seq_len"); B = size(vector, "batch"); // B = 1 if unbatched
        I = size(vector, "input_size"); H = size(vector, "hidden_size"); L = size(vector, "num_layers");
        D = get(vector, "options", "direction").equals("bidirectional") ? 2 : 1;
        reverse = get(vector, "options", "direction").equals("reverse");
        batchFirst = size(vector, "batch_first") == 1;
        for (String name : Lstm.<Map<String, Object>>get(vector, "given").keySet()) {
            double[] array = numbers(vector, "given", name, "data");
            Arrays.setAll(array, i -> (float) array[i]);
            given.put(name, array);
        }
    }

    /** Returns whether a vector passes, and excludes the mistakes that do not explain the results. */
    static boolean check(Object vector, boolean[] excluded) {
        Map<String, double[]> solution = new Lstm(vector).forward();
        int wrong = 0;
        for (String name : Lstm.<Map<String, Object>>get(vector, "expected").keySet()) {
            double[] expected = numbers(vector, "expected", name, "data"), got = solution.get(name);
            double[] budget = numbers(vector, "budget", name, "data");
            for (int i = 0; i < got.length; i++)
                if (Double.isNaN(expected[i]) != Double.isNaN(got[i]) || Math.abs(got[i] - expected[i]) > budget[i])
                    wrong++;
        }
        System.out.println((wrong > 0 ? "FAIL " : "pass ") + get(vector, "name") + ": " + wrong + " elements are off");
        double[] predicted = numbers(vector, "probe", "predicted");
        Double element = get(vector, "probe", "element"), within = get(vector, "probe", "within");
        double probed = solution.get(Lstm.<String>get(vector, "probe", "tensor"))[element.intValue()];
        for (int n = 0; n < predicted.length; n++) {
            boolean detected = Lstm.<String>get(vector, "detects").charAt(n) == '1';
            boolean differs = Math.abs(probed - predicted[n]) > within; // false without a prediction
            excluded[n] |= detected != (wrong > 0) || (wrong > 0 && differs);
        }
        return wrong == 0;
    }

    public static void main(String[] arguments) throws Exception {
        text = Files.readString(Path.of(arguments[0]));
        Object file = parse();
        List<Object> all = get(file, "mistakes");
        boolean[] excluded = new boolean[all.size()];
        boolean passes = true;
        for (Object vector : Lstm.<List<Object>>get(file, "vectors"))
            if (FEATURES.containsAll(Lstm.<List<String>>get(vector, "features"))) passes &= check(vector, excluded);
        if (passes) return;
        System.out.println("mistakes that explain these results:");
        for (int n = 0; n < excluded.length; n++)
            if (!excluded[n]) System.out.println("  " + get(all.get(n), "id") + ": " + get(all.get(n), "sentence"));
        System.exit(1);
    }
}
