// oneDNN's LSTM on one step without an initial state: h_0 is 0, so the gradient of the recurrent weights must be 0.
// g++ -std=c++17 -I PREFIX/include onednn_state_omitted.cpp -L PREFIX/lib -ldnnl
#include <algorithm>
#include <cstdio>
#include <oneapi/dnnl/dnnl.hpp>

using namespace dnnl;
using layout = memory::format_tag;

memory filled(const memory::desc &desc, const engine &cpu, float value) {
    memory created(desc, cpu);
    float *data = created.map_data<float>();
    std::fill_n(data, desc.get_size() / sizeof(float), value);
    created.unmap_data(data);
    return created;
}

int main() {
    const engine cpu(engine::kind::cpu, 0);
    stream queue(cpu);
    const auto f32 = memory::data_type::f32;
    const auto direction = rnn_direction::unidirectional_left2right;
    const memory::desc none, x({1, 1, 2}, f32, layout::tnc), h({1, 1, 1, 2}, f32, layout::ldnc);
    const memory::desc w({1, 1, 2, 4, 2}, f32, layout::ldigo), v({1, 1, 2, 4, 2}, f32, layout::ldgoi);
    const memory::desc b({1, 1, 4, 2}, f32, layout::ldgo);
    const lstm_forward::primitive_desc forward(
        cpu, prop_kind::forward_training, direction, x, none, none, w, w, b, x, h, h);
    const lstm_backward::primitive_desc backward(
        cpu, prop_kind::backward, direction, x, none, none, v, v, b, x, h, h, x, none, none, w, w, b, x, h, h, forward);
    std::unordered_map<int, memory> arguments = {{DNNL_ARG_WORKSPACE, memory(forward.workspace_desc(), cpu)}};
    for (const int key : {DNNL_ARG_SRC_LAYER, DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER, DNNL_ARG_BIAS,
                          DNNL_ARG_DST_LAYER, DNNL_ARG_DST_ITER, DNNL_ARG_DST_ITER_C})
        arguments[key] = filled(forward.query_md(query::exec_arg_md, key), cpu, 0.5F);
    lstm_forward(forward).execute(queue, arguments);
    for (const int key : {DNNL_ARG_WEIGHTS_LAYER, DNNL_ARG_WEIGHTS_ITER, DNNL_ARG_DIFF_DST_LAYER,
                          DNNL_ARG_DIFF_DST_ITER, DNNL_ARG_DIFF_DST_ITER_C})
        arguments[key] = filled(backward.query_md(query::exec_arg_md, key), cpu, 0.5F);
    for (const int key : {DNNL_ARG_DIFF_SRC_LAYER, DNNL_ARG_DIFF_WEIGHTS_LAYER, DNNL_ARG_DIFF_WEIGHTS_ITER,
                          DNNL_ARG_DIFF_BIAS})
        arguments[key] = filled(backward.query_md(query::exec_arg_md, key), cpu, 0);
    lstm_backward(backward).execute(queue, arguments);
    queue.wait();
    const float gradient = arguments[DNNL_ARG_DIFF_WEIGHTS_ITER].map_data<float>()[0];
    std::printf("gradient of the recurrent weights: %g\n", gradient);
    std::printf("it is 0: %s\n", gradient == 0 ? "true" : "false");
    return gradient != 0;
}
