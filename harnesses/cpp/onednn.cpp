// A harness for oneDNN's LSTM primitive, over the worker protocol (docs/worker-protocol.md).
#include <oneapi/dnnl/dnnl.hpp>

#include "protocol.hpp"

using dnnl::memory;
using layout = memory::format_tag;
using type = memory::data_type;
using Floats = std::vector<float>;

const int DIFF = DNNL_ARG_DIFF_SRC_0 - DNNL_ARG_SRC_0; // from the key of an argument to that of its gradient

const dnnl::engine &cpu() {
    static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
    return engine;
}

dnnl::stream &queue() {
    static dnnl::stream stream(cpu());
    return stream;
}

// ---- Which primitives compute a case.

enum class Role { sequence, state, matrix, vector };

struct Argument {
    int key;
    Role role;
    std::string name; // in the suite, without layer and direction
    memory::dims shape;
    layout dense; // order of the values in the suite's tensors
    type dtype;
    bool present = true;
};

// Layers that one primitive computes. The inputs of all its layers have the same size.
struct Stack {
    int64_t first, layers;
    std::vector<std::string> directions; // suffixes of their parameters
    std::vector<Argument> inputs, outputs;
    dnnl::lstm_forward::primitive_desc forward;
    dnnl::lstm_backward::primitive_desc backward; // empty if no gradients are compared
};

bool has_gradients(const std::string &request) {
    const std::string check = after(request, "check");
    return check.substr(0, check.find(']')).find("\"gradients\"") != std::string::npos;
}

// Describes the arguments and creates the descriptors. Throws dnnl::error if oneDNN does not implement the case.
Stack describe(const std::string &request, int64_t first, int64_t layers) {
    const bool both = is(request, "direction", "\"bidirectional\""), reverse = is(request, "direction", "\"reverse\"");
    const bool half = is(request, "dtype", "\"float16\""), projects = number(request, "proj_size") > 0;
    const int64_t L = layers, D = both ? 2 : 1, T = number(request, "seq_len"), N = number(request, "batch");
    const int64_t H = number(request, "hidden_size"), P = projects ? number(request, "proj_size") : H;
    const int64_t I = first ? P * D : number(request, "input_size");
    const type dtype = half ? type::f16 : is(request, "dtype", "\"bfloat16\"") ? type::bf16 : type::f32;
    const type wide = half ? type::f16 : type::f32;
    const layout sequence = is(request, "batch_first", "true") ? layout::ntc : layout::tnc;
    const bool stateful = !is(request, "initial_state", "\"omitted\"");
    Stack stack{first, layers, {}, {}, {}, {}, {}};
    if (!reverse) stack.directions.push_back("");
    if (both || reverse) stack.directions.push_back("_reverse");
    stack.inputs = {
        {DNNL_ARG_SRC_LAYER, Role::sequence, "input", {T, N, I}, sequence, dtype},
        {DNNL_ARG_SRC_ITER, Role::state, "h_0", {L, D, N, P}, layout::ldnc, dtype, stateful},
        {DNNL_ARG_SRC_ITER_C, Role::state, "c_0", {L, D, N, H}, layout::ldnc, wide, stateful},
        {DNNL_ARG_WEIGHTS_LAYER, Role::matrix, "weight_ih", {L, D, I, 4, H}, layout::ldgoi, dtype},
        {DNNL_ARG_WEIGHTS_ITER, Role::matrix, "weight_hh", {L, D, P, 4, H}, layout::ldgoi, dtype},
        {DNNL_ARG_WEIGHTS_PEEPHOLE, Role::vector, "peephole", {L, D, 3, H}, layout::ldgo, type::f32,
         is(request, "peepholes", "true")},
        {DNNL_ARG_WEIGHTS_PROJECTION, Role::matrix, "weight_hr", {L, D, H, P}, layout::ldoi, dtype, projects},
        {DNNL_ARG_BIAS, Role::vector, "bias", {L, D, 4, H}, layout::ldgo, wide, is(request, "bias", "true")},
    };
    stack.outputs = {
        {DNNL_ARG_DST_LAYER, Role::sequence, "output", {T, N, P * D}, sequence, dtype},
        {DNNL_ARG_DST_ITER, Role::state, "h_n", {L, D, N, P}, layout::ldnc, dtype},
        {DNNL_ARG_DST_ITER_C, Role::state, "c_n", {L, D, N, H}, layout::ldnc, wide},
    };
    std::vector<memory::desc> x, dx;
    for (const auto *arguments : {&stack.inputs, &stack.outputs})
        for (const auto &each : *arguments) {
            const layout tag = each.role == Role::matrix ? layout::any : each.dense;
            x.push_back(each.present ? memory::desc(each.shape, each.dtype, tag) : memory::desc());
            dx.push_back(each.present ? memory::desc(each.shape, type::f32, tag) : memory::desc());
        }
    const auto direction = both      ? dnnl::rnn_direction::bidirectional_concat
                           : reverse ? dnnl::rnn_direction::unidirectional_right2left
                                     : dnnl::rnn_direction::unidirectional_left2right;
    const bool training = has_gradients(request) || is(request, "mode", "\"train\"");
    stack.forward = {cpu(), training ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference,
                     direction, x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10]};
    if (has_gradients(request))
        stack.backward = {cpu(), dnnl::prop_kind::backward, direction,
                          x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10],
                          dx[0], dx[1], dx[2], dx[3], dx[4], dx[5], dx[6], dx[7], dx[8], dx[9], dx[10], stack.forward};
    return stack;
}

std::vector<Stack> plan(const std::string &request) {
    const int64_t layers = number(request, "num_layers"), projection = number(request, "proj_size");
    const int64_t width = projection ? projection : number(request, "hidden_size");
    const bool both = is(request, "direction", "\"bidirectional\"");
    std::vector<Stack> stacks;
    for (int64_t layer = 0, count; layer < layers; layer += count) {
        const bool rest = !both && (layer > 0 || number(request, "input_size") == width);
        count = rest ? layers - layer : 1;
        stacks.push_back(describe(request, layer, count));
    }
    return stacks;
}

// ---- Between the suite's tensors and oneDNN's memory.

// Returns a memory with a layout and dtype, and the same values.
memory converted(memory from, const memory::desc &desc) {
    memory to(desc, cpu());
    dnnl::reorder(from, to).execute(queue(), from, to);
    queue().wait();
    return to;
}

memory from_bytes(const void *bytes, const memory::desc &desc) {
    memory result(desc, cpu());
    void *data = result.map_data();
    std::memcpy(data, bytes, desc.get_size());
    result.unmap_data(data);
    return result;
}

Floats to_floats(const memory &from, const memory::desc &dense) {
    const memory to = converted(from, dense);
    Floats values(dense.get_size() / sizeof(float));
    void *data = to.map_data();
    std::memcpy(values.data(), data, dense.get_size());
    to.unmap_data(data);
    return values;
}

memory::desc dense(const Argument &each) { return {each.shape, type::f32, each.dense}; }

memory from_floats(const Floats &values, const Argument &each, const memory::desc &desc) {
    return converted(from_bytes(values.data(), dense(each)), desc);
}

using Named = std::map<std::string, Floats>;

Named read(const Tensors &tensors) {
    Named given;
    for (const auto &[name, tensor] : tensors) {
        const bool half = tensor.dtype == "F16";
        const int64_t size = static_cast<int64_t>(tensor.bytes.size()) / (half ? 2 : 4);
        const memory stored = from_bytes(tensor.bytes.data(), {{size}, half ? type::f16 : type::f32, layout::a});
        given[name] = to_floats(stored, {{size}, type::f32, layout::a});
    }
    return given;
}

// Returns the suite's names of the parameters in an argument.
std::vector<std::string> parameters(const Stack &stack, const std::string &name) {
    std::vector<std::string> names;
    for (int64_t layer = stack.first; layer < stack.first + stack.layers; layer++)
        for (const auto &suffix : stack.directions) names.push_back(name + "_l" + std::to_string(layer) + suffix);
    return names;
}

// Returns the values of an input other than the sequence, or of the cotangent of an output.
Floats gather(const Stack &stack, const Argument &each, const Named &given, const std::string &prefix = "") {
    const size_t size = dense(each).get_size() / sizeof(float);
    Floats values;
    if (each.role == Role::state) {
        const auto state = given.find(prefix + each.name);
        if (state == given.end()) return Floats(size);
        const auto start = state->second.begin() + static_cast<int64_t>(size) / stack.layers * stack.first;
        return {start, start + static_cast<int64_t>(size)};
    }
    const bool bias = each.name == "bias"; // oneDNN has one bias, the suite has two
    for (const auto &name : parameters(stack, bias ? "bias_ih" : each.name)) {
        const Floats &own = given.at(name);
        values.insert(values.end(), own.begin(), own.end());
    }
    size_t at = 0;
    if (bias)
        for (const auto &name : parameters(stack, "bias_hh"))
            for (const float other : given.at(name)) values[at++] += other;
    return values;
}

// Stores the gradient of an input other than the sequence. The last layers come first.
void scatter(const Stack &stack, const Argument &each, const Floats &values, Named &results) {
    if (each.role == Role::state) {
        Floats &state = results["grad." + each.name];
        state.insert(state.begin(), values.begin(), values.end());
        return;
    }
    const bool bias = each.name == "bias";
    for (const std::string &name : bias ? std::vector<std::string>{"bias_ih", "bias_hh"} : std::vector{each.name}) {
        auto start = values.begin();
        const auto names = parameters(stack, name);
        for (const auto &own : names) {
            const auto end = start + static_cast<int64_t>(values.size() / names.size());
            results["grad." + own].assign(start, end);
            start = end;
        }
    }
}

// ---- Forward and backward.

using Arguments = std::unordered_map<int, memory>;

void execute(const dnnl::primitive &primitive, const Arguments &arguments) {
    primitive.execute(queue(), arguments);
    queue().wait();
}

Named run(const std::string &request, const Named &given) {
    const auto stacks = plan(request);
    const auto argument_desc = [](const auto &primitive, int key) {
        return primitive.query_md(dnnl::query::exec_arg_md, key);
    };
    Named results;
    std::vector<Arguments> executed;           // arguments of each stack's forward pass
    std::vector<std::map<int, Floats>> inputs; // values of its inputs
    Floats sequence = given.at("input");
    for (const auto &stack : stacks) {
        Arguments arguments;
        inputs.emplace_back();
        for (const auto &each : stack.inputs) {
            if (!each.present) continue;
            Floats &values = inputs.back()[each.key];
            values = each.role == Role::sequence ? sequence : gather(stack, each, given);
            arguments[each.key] = from_floats(values, each, argument_desc(stack.forward, each.key));
        }
        for (const auto &each : stack.outputs)
            arguments[each.key] = memory(argument_desc(stack.forward, each.key), cpu());
        arguments[DNNL_ARG_WORKSPACE] = memory(stack.forward.workspace_desc(), cpu());
        execute(dnnl::lstm_forward(stack.forward), arguments);
        for (const auto &each : stack.outputs) {
            const Floats values = to_floats(arguments[each.key], dense(each));
            if (each.role == Role::sequence) sequence = values;
            else results[each.name].insert(results[each.name].end(), values.begin(), values.end());
        }
        executed.push_back(arguments);
    }
    results["output"] = sequence;
    if (!has_gradients(request)) return results;
    sequence = given.count("cotangent.output") ? given.at("cotangent.output") : Floats(sequence.size());
    for (size_t k = stacks.size(); k-- > 0;) {
        const auto &stack = stacks[k];
        Arguments arguments = executed[k]; // the results and the workspace of the forward pass
        for (const auto &each : stack.outputs) {
            const bool last = each.role == Role::sequence;
            const Floats cotangent = last ? sequence : gather(stack, each, given, "cotangent.");
            arguments[each.key + DIFF] = from_floats(cotangent, each, argument_desc(stack.backward, each.key + DIFF));
        }
        for (const auto &each : stack.inputs) {
            if (!each.present) continue;
            const Floats &values = inputs[k].at(each.key);
            arguments[each.key] = from_floats(values, each, argument_desc(stack.backward, each.key));
            // oneDNN adds the gradients of weights to what the memory contains.
            const Floats zeros(values.size());
            arguments[each.key + DIFF] = from_floats(zeros, each, argument_desc(stack.backward, each.key + DIFF));
        }
        execute(dnnl::lstm_backward(stack.backward), arguments);
        for (const auto &each : stack.inputs) {
            if (!each.present) continue;
            const Floats gradient = to_floats(arguments[each.key + DIFF], dense(each));
            if (each.role == Role::sequence) sequence = gradient;
            else scatter(stack, each, gradient, results);
        }
    }
    results["grad.input"] = sequence;
    return results;
}

Tensors solve(const std::string &request, const Tensors &tensors) {
    const Named given = read(tensors);
    // An earlier call gets the same primitives from oneDNN's cache.
    for (int64_t k = earlier_calls(request); k > 0; k--) run(request, given);
    const Named results = run(request, given);
    Tensors solution;
    for (const auto &[name, shape] : wanted(request)) {
        const Floats &values = results.at(name);
        const std::string bytes(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float));
        solution[name] = {"F32", shape, bytes};
    }
    return solution;
}

std::string refuse(const std::string &request) {
    try {
        plan(request);
    } catch (const dnnl::error &error) {
        if (error.status != dnnl_unimplemented) throw;
        const std::string reason = error.what();
        return "oneDNN: " + reason.substr(0, reason.find(". Run workload"));
    }
    return "";
}

int main() {
    // A oneDNN that was built with SYCL finds the CPU through Intel's OpenCL, which is not registered in the system.
    setenv("OCL_ICD_FILENAMES", PREFIX "/lib/libintelocl.so", /*overwrite=*/0);
    const auto *v = dnnl::version();
    const std::string version =
        std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
    const std::string features =
        R"(["layers","bidirectional","reverse","batch first","projection","peepholes","no bias",)"
        R"("state omitted","gradients","partial loss","repeated call","other threads","float32","float16","bfloat16"])";
    serve({"\"name\":\"dnnl::lstm\",\"features\":" + features + ",\"packages\":{\"onednn\":" + quote(version) +
               "},\"describe\":{\"oneDNN\":" + quote(version) + ",\"compiler\":\"" __VERSION__ "\"}",
           refuse, solve});
}
