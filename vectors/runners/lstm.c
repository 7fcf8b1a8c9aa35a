/* Checks an LSTM in plain C against test vectors. docs/vectors.md describes the files and the equations.
 * cc -O2 -o lstm vectors/runners/lstm.c -lm && ./lstm vectors/core.json */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON: numbers, lists, and texts with their escapes. null is NaN, true is 1, false is 0. ---- */

typedef struct Value { char *key, *text; double number; long size; struct Value *first, *next; } Value;
static char *at;

static char *parse_text(void) {
    char *start = ++at;
    while (*at && *at != '"') at += *at == '\\' ? 2 : 1;
    *at++ = 0;
    return start;
}

static Value *parse(void) {
    Value *value = calloc(1, sizeof *value), **last = &value->first;
    char *start = at;
    if (*at == '"') {
        value->text = parse_text();
    } else if (*at == '{' || *at == '[') {
        char end = *at++ == '{' ? '}' : ']', *key = NULL;
        for (; at += strspn(at, " \n,"), *at != end; value->size++, last = &(*last)->next) {
            if (end == '}') key = parse_text(), at += strspn(at, " :");
            *last = parse();
            (*last)->key = key;
        }
        at++;
    } else if (*at && strchr("tfn", *at)) {
        value->number = *at == 't' ? 1 : *at == 'f' ? 0 : NAN;
        at += strspn(at, "truefalsn");
    } else if (value->number = strtod(start, &at), at == start) {
        fputs("this is not a vector file\n", stderr), exit(2);
    }
    return value;
}

static Value *get(const Value *object, const char *key) {
    Value *found = object ? object->first : NULL;
    while (found && strcmp(found->key, key)) found = found->next;
    return found;
}

/* ---- The LSTM: T steps, B rows, I features, H units, L layers, D directions. ---- */

static long T, B, I, H, L, D, reverse, batch_first;
static Value *given;
enum { INPUT, FORGET, CANDIDATE, OUTPUT };

static float *array(const char *name, long size) { /* Zeros if the vector has no such array. */
    float *elements = calloc(size, sizeof *elements), *next = elements;
    Value *data = get(get(given, name), "data");
    for (Value *item = data ? data->first : NULL; item; item = item->next) *next++ = (float)item->number;
    return elements;
}

static float *parameter(const char *role, long layer, int reversed, long size) {
    char name[40];
    snprintf(name, sizeof name, "%s_l%ld%s", role, layer, reversed ? "_reverse" : "");
    return array(name, size);
}
static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

/* Runs one direction of one layer. x has rows of `width` elements, y of D * H, h and c of H. */
static void run(long layer, int reversed, const float *x, long width, float *y, float *h, float *c) {
    float *w_ih = parameter("weight_ih", layer, reversed, 4 * H * width);
    float *w_hh = parameter("weight_hh", layer, reversed, 4 * H * H);
    float *b_ih = parameter("bias_ih", layer, reversed, 4 * H), *b_hh = parameter("bias_hh", layer, reversed, 4 * H);
    float *lengths = get(given, "lengths") ? array("lengths", B) : NULL, *h_next = array("", H);
    for (long step = 0; step < T * B; step++) {
        long t = reversed ? T - 1 - step / B : step / B, b = step % B, row = batch_first ? b * T + t : t * B + b;
        if (lengths && t >= lengths[b]) continue;
        for (long j = 0; j < H; j++) {
            float z[4];
            for (long gate = 0; gate < 4; gate++) {
                long k = gate * H + j;
                z[gate] = b_ih[k] + b_hh[k];
                for (long i = 0; i < width; i++) z[gate] += w_ih[k * width + i] * x[row * width + i];
                for (long i = 0; i < H; i++) z[gate] += w_hh[k * H + i] * h[b * H + i];
            }
            c[b * H + j] = sigmoid(z[FORGET]) * c[b * H + j] + sigmoid(z[INPUT]) * tanhf(z[CANDIDATE]);
            h_next[j] = sigmoid(z[OUTPUT]) * tanhf(c[b * H + j]);
        }
        memcpy(h + b * H, h_next, H * sizeof *h);
        memcpy(y + row * D * H, h_next, H * sizeof *h);
    }
}

/* Runs all layers. Returns the output, and replaces the initial states by the final ones. */
static float *forward(float *h, float *c) {
    float *x = array("input", T * B * I);
    for (long layer = 0; layer < L; layer++) {
        float *y = array("", T * B * D * H);
        for (long d = 0, state = layer * D * B * H; d < D; d++, state += B * H)
            run(layer, reverse || d == 1, x, layer ? D * H : I, y + d * H, h + state, c + state);
        x = y;
    }
    return x;
}

/* ---- Vectors. ---- */

static char FEATURES[] = "float32 layers bidirectional reverse lengths no bias unbatched batch first state omitted";

/* Returns whether a vector passes, and excludes the mistakes that do not explain the results. */
static int check(const Value *vector, char *excluded) {
    const Value *options = get(vector, "options"), *probe = get(vector, "probe");
    const char *direction = get(options, "direction")->text, *detects = get(vector, "detects")->text;
#define OPTION(name) (long)get(options, name)->number
    given = get(vector, "given");
    T = OPTION("seq_len"), I = OPTION("input_size"), H = OPTION("hidden_size"), L = OPTION("num_layers");
    B = OPTION("batch") ? OPTION("batch") : 1, batch_first = OPTION("batch_first");
    reverse = !strcmp(direction, "reverse"), D = strcmp(direction, "bidirectional") ? 1 : 2;
    float *h = array("h_0", L * D * B * H), *c = array("c_0", L * D * B * H), *output = forward(h, c), probed = 0;
    int wrong = 0; /* elements that are not within their budget */
    for (Value *tensor = get(vector, "expected")->first; tensor; tensor = tensor->next) {
        const float *got = *tensor->key == 'o' ? output : *tensor->key == 'h' ? h : c;
        Value *budget = get(get(get(vector, "budget"), tensor->key), "data")->first, *want = get(tensor, "data")->first;
        if (!strcmp(tensor->key, get(probe, "tensor")->text)) probed = got[(long)get(probe, "element")->number];
        for (; want; want = want->next, budget = budget->next, got++)
            wrong += isnan(want->number) ? !isnan(*got) : !(fabs(*got - want->number) <= budget->number);
    }
    printf("%s %s: %d elements are off\n", wrong ? "FAIL" : "pass", get(vector, "name")->text, wrong);
    for (Value *predicted = get(probe, "predicted")->first; predicted; predicted = predicted->next, excluded++)
        if ((*detects++ == '1') != (wrong > 0)) *excluded = 1;
        else if (wrong && fabs(probed - predicted->number) > get(probe, "within")->number) *excluded = 1;
    return !wrong;
}

int main(int argc, char **argv) {
    static char text[1 << 24], excluded[4096];
    FILE *stream = argc == 2 ? fopen(argv[1], "rb") : NULL;
    if (!stream || !fread(at = text, 1, sizeof text - 1, stream)) return fputs("usage: lstm FILE\n", stderr), 2;
    int passes = 1, place = 0;
    Value *file = parse();
    for (Value *vector = get(file, "vectors")->first; vector; vector = vector->next) {
        int supported = 1;
        for (Value *each = get(vector, "features")->first; each; each = each->next)
            supported &= strstr(FEATURES, each->text) != NULL;
        if (supported) passes &= check(vector, excluded);
    }
    if (!passes) puts("mistakes that explain these results:");
    for (Value *mistake = get(file, "mistakes")->first; mistake && !passes; mistake = mistake->next)
        if (!excluded[place++]) printf("  %s: %s\n", get(mistake, "id")->text, get(mistake, "sentence")->text);
    return !passes;
}
