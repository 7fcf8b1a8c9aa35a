// A harness for torch::nn::LSTM of libtorch, over the worker protocol (docs/worker-protocol.md).
#include <torch/torch.h>

#include "protocol.hpp"

using Named = std::map<std::string, torch::Tensor>;

const std::map<std::string, torch::Dtype> DTYPES = {
    {"F64", torch::kFloat64}, {"F32", torch::kFloat32}, {"F16", torch::kFloat16}, {"I64", torch::kInt64}};

torch::Dtype dtype_of(const std::string &request) {
    if (is(request, "dtype", "\"float64\"")) return torch::kFloat64;
    if (is(request, "dtype", "\"float16\"")) return torch::kFloat16;
    return is(request, "dtype", "\"bfloat16\"") ? torch::kBFloat16 : torch::kFloat32;
}

Tensor from_torch(torch::Tensor tensor) {
    const bool wide = tensor.dtype() == torch::kFloat64;
    tensor = tensor.detach().to(wide ? torch::kFloat64 : torch::kFloat32).contiguous();
    const std::string bytes(static_cast<const char *>(tensor.data_ptr()), tensor.nbytes());
    return {wide ? "F64" : "F32", tensor.sizes().vec(), bytes};
}

torch::Tensor to_torch(const Tensor &tensor) {
    return torch::from_blob(const_cast<char *>(tensor.bytes.data()), tensor.shape, DTYPES.at(tensor.dtype)).clone();
}

torch::nn::LSTM make_module(const std::string &request) {
    torch::nn::LSTM lstm(torch::nn::LSTMOptions(number(request, "input_size"), number(request, "hidden_size"))
                             .num_layers(number(request, "num_layers"))
                             .bias(is(request, "bias", "true"))
                             .batch_first(is(request, "batch_first", "true"))
                             .dropout(std::atof(after(request, "dropout").c_str()))
                             .bidirectional(is(request, "direction", "\"bidirectional\""))
                             .proj_size(number(request, "proj_size")));
    lstm->to(dtype_of(request));
    lstm->train(is(request, "mode", "\"train\""));
    return lstm;
}

// Returns a module with the given parameters. If the case is saved, it is written to an archive and read by a new one.
torch::nn::LSTM load_module(const std::string &request, const Named &given) {
    torch::nn::LSTM lstm = make_module(request);
    torch::NoGradGuard guard;
    for (auto &parameter : lstm->named_parameters()) parameter.value().copy_(given.at(parameter.key()));
    if (!is(request, "saved", "true")) return lstm;
    std::stringstream archive;
    torch::save(lstm, archive);
    torch::nn::LSTM loaded = make_module(request);
    torch::load(loaded, archive);
    return loaded;
}

using State = torch::optional<std::tuple<torch::Tensor, torch::Tensor>>;

// Runs a module on the pieces of a sequence. The final states of a piece are the initial states of the next.
std::tuple<torch::Tensor, State> run_pieces(torch::nn::LSTM lstm, const std::string &request, torch::Tensor input, State state) {
    const int64_t axis = is(request, "batch_first", "true") ? 1 : 0;
    const std::string rest = after(request, "chunks").substr(1);
    std::vector<int64_t> pieces = numbers(rest.substr(0, rest.find(']')));
    if (pieces.empty()) pieces = {input.size(axis)};
    std::vector<torch::Tensor> outputs;
    for (const auto &piece : input.split_with_sizes(pieces, axis)) {
        const auto [output, final_state] = lstm->forward(piece, state);
        outputs.push_back(output);
        state = final_state;
    }
    return {torch::cat(outputs, axis), state};
}

Named run_once(torch::nn::LSTM lstm, const std::string &request, const Named &given) {
    const bool batch_first = is(request, "batch_first", "true");
    const auto dtype = dtype_of(request);
    Named leaves, results;
    for (auto &parameter : lstm->named_parameters()) leaves[parameter.key()] = parameter.value();
    // An input of a wrong dtype is passed on as it is.
    for (const std::string name : {"input", "h_0", "c_0"})
        if (given.count(name))
            leaves[name] = is(request, "refuses", quote(name + "-dtype")) ? given.at(name) : given.at(name).to(dtype);
    const std::string rest = after(request, "frozen"), frozen = rest.substr(0, rest.find(']'));
    for (auto &[name, leaf] : leaves) leaf.set_requires_grad(frozen.find(quote(name)) == std::string::npos);
    State state;
    if (given.count("h_0")) state = std::make_tuple(leaves["h_0"], leaves["c_0"]);
    if (given.count("lengths")) {
        namespace rnn = torch::nn::utils::rnn;
        const auto packed = rnn::pack_padded_sequence(leaves["input"], given.at("lengths"), batch_first, false);
        const auto [output, states] = lstm->forward_with_packed_input(packed, state);
        state = states;
        results["output"] =
            std::get<0>(rnn::pad_packed_sequence(output, batch_first, 0.0, number(request, "seq_len")));
    } else {
        std::tie(results["output"], state) = run_pieces(lstm, request, leaves["input"], state);
    }
    std::tie(results["h_n"], results["c_n"]) = *state;
    std::vector<torch::Tensor> read, cotangents, inputs;
    std::vector<std::string> names;
    for (const auto &[name, result] : results)
        if (given.count("cotangent." + name))
            read.push_back(result), cotangents.push_back(given.at("cotangent." + name).to(dtype));
    if (read.empty()) return results;
    for (const auto &[name, leaf] : leaves)
        if (leaf.requires_grad()) names.push_back(name), inputs.push_back(leaf);
    const auto gradients = torch::autograd::grad(read, inputs, cotangents, false, false, /*allow_unused=*/true);
    for (size_t k = 0; k < names.size(); k++)
        results["grad." + names[k]] = gradients[k].defined() ? gradients[k] : torch::zeros_like(inputs[k]);
    return results;
}

// Makes the earlier calls of a case, all of which are the same, and the one that counts.
Named run(const std::string &request, const Named &given) {
    const torch::nn::LSTM lstm = load_module(request, given);
    for (int64_t k = earlier_calls(request); k > 0; k--) run_once(lstm, request, given);
    return run_once(lstm, request, given);
}

const char *FEATURES = R"(["layers","bidirectional","lengths","projection","dropout","no bias","batch first",)"
                       R"("state omitted","gradients","partial loss","frozen","float64","float32","float16","bfloat16",)"
                       R"("chunks","repeated call","saved","other threads","empty batch","wrong input","wrong dtype","wrong state",)"
                       R"("wrong layers of a state","wrong lengths","wrong weight"])";

std::string refuse(const std::string &request) {
    static const std::regex empty_row(R"re("lengths":\[([\d,]*,)?0[,\]])re");
    const bool drops = std::atof(after(request, "dropout").c_str()) > 0 && number(request, "num_layers") > 1;
    if (drops && is(request, "mode", "\"train\""))
        return "the harness cannot read off the dropout masks that libtorch draws";
    return std::regex_search(request, empty_row) ? "pack_padded_sequence refuses lengths of 0" : "";
}

Tensors solve(const std::string &request, const Tensors &tensors) {
    Named given;
    for (const auto &[name, tensor] : tensors) given[name] = to_torch(tensor);
    for (const auto &[name, tensor] : tensors) // In a case with `refuses`, one tensor is wrong.
        if (name.rfind("wrong.", 0) == 0) given[name.substr(6)] = to_torch(tensor);
    const auto results = run(request, given);
    Tensors solution;
    for (const auto &[name, shape] : wanted(request)) solution[name] = from_torch(results.at(name));
    return solution;
}

int main() {
    const std::string start =
        "\"name\":\"torch::nn::LSTM\",\"features\":" + std::string(FEATURES) +
        ",\"packages\":{\"torch\":\"" TORCH_VERSION "\"},\"describe\":{\"libtorch\":\"" TORCH_VERSION
        "\",\"compiler\":\"" __VERSION__ "\",\"threads\":\"" + std::to_string(torch::get_num_threads()) + "\"}";
    serve({start, refuse, solve});
}
