/* A harness for lstm-conformance: an LSTM in plain C that speaks the worker protocol (docs/worker-protocol.md).
 *
 *   cc -O2 -o harness examples/harness.c -lm
 *   conformance run -i cmd:./harness
 *
 * It supports a single forward layer in float32 or float64, with or without biases and initial state, and computes its
 * gradients. It declares these features; the suite reports all other cases as unsupported. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 64 /* per problem */

typedef struct { const char *name; size_t count; double *values; } Tensor;

static Tensor given[MAX_TENSORS];
static int given_count;
static char *header; /* header of the problem's tensors; Tensor.name points into it */
static char *answer_header;
static unsigned char *answer_data;
static size_t header_size, data_size;

/* ---- JSON. Values are found by searching for their key, which is enough for the protocol. ---- */

static const char *value_of(const char *json, const char *key) {
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    const char *found = strstr(json, quoted);
    return found ? found + strlen(quoted) : "";
}

static long number(const char *json, const char *key) { return strtol(value_of(json, key), NULL, 10); }

static int is(const char *json, const char *key, const char *value) {
    return strncmp(value_of(json, key), value, strlen(value)) == 0;
}

/* ---- Tensors: 8 bytes with the length of the header, a JSON header, raw little-endian values. ---- */

static void read_tensors(const char *block) {
    uint64_t size;
    memcpy(&size, block, 8);
    const char *data = block + 8 + size;
    header = realloc(header, size + 1);
    memcpy(header, block + 8, size);
    header[size] = 0;
    given_count = 0;
    for (char *at = header + 1; (at = strchr(at, '"')) && given_count < MAX_TENSORS;) {
        Tensor *tensor = &given[given_count++];
        tensor->name = at + 1;
        char *end = strchr(at + 1, '"');
        *end = 0;
        char *entry = end + 2;
        int wide = is(entry, "dtype", "\"F64\"") || is(entry, "dtype", "\"I64\"");
        char *offsets = strstr(entry, "\"data_offsets\":[") + 16, *rest;
        size_t first = strtoul(offsets, &rest, 10), last = strtoul(rest + 1, &rest, 10);
        tensor->count = (last - first) / (wide ? 8 : 4);
        tensor->values = malloc(tensor->count * sizeof(double) + 1);
        for (size_t k = 0; k < tensor->count; k++) {
            float narrow;
            if (wide) memcpy(&tensor->values[k], data + first + 8 * k, 8);
            else memcpy(&narrow, data + first + 4 * k, 4), tensor->values[k] = narrow;
        }
        at = strchr(rest, '}');
    }
}

static double *get(const char *name) {
    for (int k = 0; k < given_count; k++)
        if (strcmp(given[k].name, name) == 0) return given[k].values;
    return NULL;
}

static double *zeros(size_t count) { return calloc(count + 1, sizeof(double)); }

/* Adds a tensor to the answer if the request wants it, with the requested shape. */
static void put(const char *request, const char *name, const double *values, size_t count, int wide) {
    const char *shape = value_of(strstr(request, "\"wants\":"), name);
    size_t width = wide ? 8 : 4;
    if (*shape != '[') return;
    answer_header = realloc(answer_header, header_size + 400);
    answer_data = realloc(answer_data, data_size + count * 8 + 1);
    header_size += sprintf(answer_header + header_size, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":%.*s,\"data_offsets\":[%zu,%zu]}",
                           header_size ? ',' : '{', name, wide ? "F64" : "F32", (int)(strchr(shape, ']') - shape + 1),
                           shape, data_size, data_size + count * width);
    for (size_t k = 0; k < count; k++, data_size += width) {
        float narrow = (float)values[k];
        if (wide) memcpy(answer_data + data_size, &values[k], 8);
        else memcpy(answer_data + data_size, &narrow, 4);
    }
}

/* ---- The LSTM. ---- */

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

static void solve(const char *request) {
    long T = number(request, "seq_len"), B = number(request, "batch"), I = number(request, "input_size");
    long H = number(request, "hidden_size"), first = is(request, "batch_first", "true");
    int wide = is(request, "dtype", "\"float64\"");
    const double *x = get("input"), *w_ih = get("weight_ih_l0"), *w_hh = get("weight_hh_l0");
    const double *b_ih = get("bias_ih_l0"), *b_hh = get("bias_hh_l0"), *dy = get("cotangent.output");
    /* h and c hold T + 1 states: the initial state and the state after each step. Gates are i, f, g, o. */
    double *h = zeros((T + 1) * B * H), *c = zeros((T + 1) * B * H), *gates = zeros(T * B * 4 * H), *y = zeros(T * B * H);
    if (get("h_0")) memcpy(h, get("h_0"), B * H * sizeof(double)), memcpy(c, get("c_0"), B * H * sizeof(double));
#define ROW(t, b) (first ? (b) * T + (t) : (t) * B + (b)) /* row of input and output */
#define AT(t, b) (((t) * B + (b)) * H)                    /* offset in h and c */
    for (long t = 0; t < T; t++)
        for (long b = 0; b < B; b++) {
            double *z = gates + ((t * B) + b) * 4 * H;
            for (long k = 0; k < 4 * H; k++) {
                double sum = b_ih ? b_ih[k] + b_hh[k] : 0;
                for (long j = 0; j < I; j++) sum += w_ih[k * I + j] * x[ROW(t, b) * I + j];
                for (long j = 0; j < H; j++) sum += w_hh[k * H + j] * h[AT(t, b) + j];
                z[k] = k / H == 2 ? tanh(sum) : sigmoid(sum);
            }
            for (long j = 0; j < H; j++) {
                double now = z[H + j] * c[AT(t, b) + j] + z[j] * z[2 * H + j];
                c[AT(t + 1, b) + j] = now;
                y[ROW(t, b) * H + j] = h[AT(t + 1, b) + j] = z[3 * H + j] * tanh(now);
            }
        }
    /* Backpropagation through time, from the cotangents. */
    double *dx = zeros(T * B * I), *dw_ih = zeros(4 * H * I), *dw_hh = zeros(4 * H * H), *db = zeros(4 * H);
    double *dh = zeros(B * H), *dc = zeros(B * H), *dz = zeros(4 * H);
    memcpy(dh, get("cotangent.h_n"), B * H * sizeof(double));
    memcpy(dc, get("cotangent.c_n"), B * H * sizeof(double));
    for (long t = T - 1; t >= 0; t--)
        for (long b = 0; b < B; b++) {
            const double *z = gates + ((t * B) + b) * 4 * H;
            for (long j = 0; j < H; j++) {
                double i = z[j], f = z[H + j], g = z[2 * H + j], o = z[3 * H + j], th = tanh(c[AT(t + 1, b) + j]);
                double out = dh[b * H + j] + dy[ROW(t, b) * H + j], cell = dc[b * H + j] + out * o * (1 - th * th);
                dz[j] = cell * g * i * (1 - i);
                dz[H + j] = cell * c[AT(t, b) + j] * f * (1 - f);
                dz[2 * H + j] = cell * i * (1 - g * g);
                dz[3 * H + j] = out * th * o * (1 - o);
                dc[b * H + j] = cell * f;
                dh[b * H + j] = 0;
            }
            for (long k = 0; k < 4 * H; k++) {
                db[k] += dz[k];
                for (long j = 0; j < I; j++)
                    dw_ih[k * I + j] += dz[k] * x[ROW(t, b) * I + j], dx[ROW(t, b) * I + j] += dz[k] * w_ih[k * I + j];
                for (long j = 0; j < H; j++)
                    dw_hh[k * H + j] += dz[k] * h[AT(t, b) + j], dh[b * H + j] += dz[k] * w_hh[k * H + j];
            }
        }
    put(request, "output", y, T * B * H, wide), put(request, "h_n", h + AT(T, 0), B * H, wide);
    put(request, "c_n", c + AT(T, 0), B * H, wide), put(request, "grad.input", dx, T * B * I, wide);
    put(request, "grad.h_0", dh, B * H, wide), put(request, "grad.c_0", dc, B * H, wide);
    put(request, "grad.weight_ih_l0", dw_ih, 4 * H * I, wide), put(request, "grad.weight_hh_l0", dw_hh, 4 * H * H, wide);
    put(request, "grad.bias_ih_l0", db, 4 * H, wide), put(request, "grad.bias_hh_l0", db, 4 * H, wide);
    double *all[] = {h, c, gates, y, dx, dw_ih, dw_hh, db, dh, dc, dz};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++) free(all[k]);
    for (int k = 0; k < given_count; k++) free(given[k].values);
}

/* Supported features (docs/writing-an-adapter.md). The suite sends no case with another feature. */
static const char *features =
    "[\"no bias\",\"batch first\",\"state omitted\",\"gradients\",\"float64\",\"float32\"]";

int main(void) {
    char *line = NULL;
    size_t room = 0;
    while (getline(&line, &room, stdin) > 0 && !is(line, "cmd", "\"stop\"")) {
        if (is(line, "cmd", "\"start\"")) {
            printf("{\"ok\":true,\"version\":1,\"name\":\"harness.c\",\"features\":%s,", features);
            printf("\"describe\":{\"compiler\":\"%s\"}}\n", __VERSION__);
        } else if (is(line, "cmd", "\"supports\"")) {
            printf("{\"reason\":null}\n");
        } else {
            long size = number(line, "n");
            char *block = malloc(size + 1);
            if (fread(block, 1, size, stdin) != (size_t)size) return 1;
            read_tensors(block);
            header_size = data_size = 0;
            solve(line);
            answer_header[header_size++] = '}';
            uint64_t length = header_size;
            printf("{\"ok\":true,\"n\":%zu}\n", 8 + header_size + data_size);
            fwrite(&length, 8, 1, stdout), fwrite(answer_header, 1, header_size, stdout);
            fwrite(answer_data, 1, data_size, stdout);
            free(block);
        }
        fflush(stdout);
    }
    return 0;
}
