// oneDNN accepts a bfloat16 LSTM with projection, runs its backward pass without an error, and writes no gradient.
// g++ -std=c++17 -I PREFIX/include onednn_bfloat16_projection.cpp -L PREFIX/lib -ldnnl
#include <cstdio>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>

using namespace dnnl;
using layout = memory::format_tag;

memory constant(const memory::desc &desc, const engine &cpu) {
    memory created(desc, cpu);
    void *data = created.map_data();
    std::memset(data, 0x3f, desc.get_size()); // 0.747 in float32 and in bfloat16
    created.unmap_data(data);
    return created;
}

int main() {
    const engine cpu(engine::kind::cpu, 0);
    stream queue(cpu);
    const auto bf16 = memory::data_type::bf16, f32 = memory::data_type::f32;
    const auto direction = rnn_direction::unidirectional_left2right;
    const memory::desc none, x({1, 1, 2}, bf16, layout::tnc), h({1, 1, 1, 2}, bf16, layout::ldnc);
    const memory::desc c({1, 1, 1, 2}, f32, layout::ldnc), b({1, 1, 4, 2}, f32, layout::ldgo);
    const memory::desc w({1, 1, 2, 4, 2}, bf16, layout::any), p({1, 1, 2, 2}, bf16, layout::any);
    const memory::desc dx({1, 1, 2}, f32, layout::tnc), dw({1, 1, 2, 4, 2}, f32, layout::any);
    const memory::desc dp({1, 1, 2, 2}, f32, layout::any);
    const lstm_forward::primitive_desc forward(
        cpu, prop_kind::forward_training, direction, x, h, c, w, w, none, p, b, x, h, c);
    const lstm_backward::primitive_desc backward(cpu, prop_kind::backward, direction, x, h, c, w, w, none, p, b, x, h,
                                                 c, dx, c, c, dw, dw, none, dp, b, dx, c, c, forward);
    std::unordered_map<int, memory> given, arguments;
    const int gradient = DNNL_ARG_DIFF_SRC_LAYER - DNNL_ARG_SRC_LAYER;
    for (const int key : {DNNL_ARG_SRC_LAYER, DNNL_ARG_SRC_ITER, DNNL_ARG_SRC_ITER_C, DNNL_ARG_WEIGHTS_LAYER,
                          DNNL_ARG_WEIGHTS_ITER, DNNL_ARG_WEIGHTS_PROJECTION, DNNL_ARG_BIAS, DNNL_ARG_DST_LAYER,
                          DNNL_ARG_DST_ITER, DNNL_ARG_DST_ITER_C}) {
        given[key] = constant(forward.query_md(query::exec_arg_md, key), cpu);
        for (const int each : {key, key + gradient})
            arguments[each] = constant(backward.query_md(query::exec_arg_md, each), cpu);
    }
    given[DNNL_ARG_WORKSPACE] = arguments[DNNL_ARG_WORKSPACE] = memory(forward.workspace_desc(), cpu);
    lstm_forward(forward).execute(queue, given);
    lstm_backward(backward).execute(queue, arguments);
    queue.wait();
    const float before = constant(b, cpu).map_data<float>()[0];
    const float after = arguments[DNNL_ARG_DIFF_BIAS].map_data<float>()[0];
    std::printf("gradient of the bias before the backward pass: %g, after: %g\n", before, after);
    std::printf("the backward pass adds to it: %s\n", after == before ? "false" : "true");
    return after == before;
}
