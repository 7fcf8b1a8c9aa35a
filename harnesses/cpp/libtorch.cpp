// A harness for torch::nn::LSTM of libtorch, over the worker protocol (docs/worker-protocol.md).
#include <cstring>
#include <ctime>
#include <iostream>
#include <map>
#include <regex>
#include <sstream>

#include <torch/torch.h>

using Tensors = std::map<std::string, torch::Tensor>;

// ---- JSON. Values are found by searching for their key, which is enough for the protocol.

// Returns the text that follows a key.
std::string after(const std::string &json, const std::string &key) {
    const auto at = json.find("\"" + key + "\":");
    return at == std::string::npos ? "" : json.substr(at + key.size() + 3);
}

int64_t number(const std::string &json, const std::string &key) { return std::atoll(after(json, key).c_str()); }

bool is(const std::string &json, const std::string &key, const std::string &value) {
    return after(json, key).rfind(value, 0) == 0;
}

std::string quote(const std::string &text) {
    std::string quoted = "\"";
    for (const char each : text) {
        if (each == '"' || each == '\\') quoted += '\\';
        quoted += static_cast<unsigned char>(each) < ' ' ? ' ' : each;
    }
    return quoted + "\"";
}

std::vector<int64_t> numbers(const std::string &list) {
    std::vector<int64_t> found;
    std::istringstream stream(list);
    for (std::string each; std::getline(stream, each, ',');) found.push_back(std::stoll(each));
    return found;
}

// ---- Tensors in the format of safetensors.

const std::map<std::string, torch::Dtype> DTYPES = {
    {"F64", torch::kFloat64}, {"F32", torch::kFloat32}, {"F16", torch::kFloat16}, {"I64", torch::kInt64}};

torch::Dtype dtype_of(const std::string &request) {
    if (is(request, "dtype", "\"float64\"")) return torch::kFloat64;
    if (is(request, "dtype", "\"float16\"")) return torch::kFloat16;
    return is(request, "dtype", "\"bfloat16\"") ? torch::kBFloat16 : torch::kFloat32;
}

Tensors read_tensors(const std::string &block) {
    static const std::regex entry(R"re("([^"]+)":\{"dtype":"(\w+)","shape":\[([\d,]*)\],"data_offsets":\[(\d+),)re");
    uint64_t size;
    std::memcpy(&size, block.data(), sizeof size);
    const std::string header = block.substr(sizeof size, size);
    Tensors found;
    for (std::sregex_iterator at(header.begin(), header.end(), entry), end; at != end; ++at) {
        const char *values = block.data() + sizeof size + size + std::stoull((*at)[4]);
        found[(*at)[1]] =
            torch::from_blob(const_cast<char *>(values), numbers((*at)[3]), DTYPES.at((*at)[2])).clone();
    }
    return found;
}

// Writes the tensors that the request wants.
std::string write_tensors(const std::string &request, const Tensors &tensors) {
    static const std::regex entry(R"re("([^"]+)":\[[\d,]*\])re");
    const std::string wants = after(request, "wants");
    const std::string names = wants.substr(0, wants.find('}'));
    std::string header, data;
    for (std::sregex_iterator at(names.begin(), names.end(), entry), end; at != end; ++at) {
        torch::Tensor tensor = tensors.at((*at)[1]).detach().contiguous();
        const bool wide = tensor.dtype() == torch::kFloat64;
        if (!wide) tensor = tensor.to(torch::kFloat32);
        std::ostringstream shape;
        for (const auto size : tensor.sizes()) shape << (shape.tellp() ? "," : "") << size;
        header += (header.empty() ? "{" : ",") + quote((*at)[1]) + ":{\"dtype\":\"" + (wide ? "F64" : "F32") +
                  "\",\"shape\":[" + shape.str() + "],\"data_offsets\":[" + std::to_string(data.size());
        data.append(static_cast<const char *>(tensor.data_ptr()), tensor.nbytes());
        header += "," + std::to_string(data.size()) + "]}";
    }
    header += "}";
    const uint64_t size = header.size();
    return std::string(reinterpret_cast<const char *>(&size), sizeof size) + header + data;
}

// ---- The LSTM.

Tensors solve(const std::string &request, const Tensors &given) {
    const bool batch_first = is(request, "batch_first", "true");
    const auto dtype = dtype_of(request);
    torch::nn::LSTM lstm(torch::nn::LSTMOptions(number(request, "input_size"), number(request, "hidden_size"))
                             .num_layers(number(request, "num_layers"))
                             .bias(is(request, "bias", "true"))
                             .batch_first(batch_first)
                             .dropout(std::atof(after(request, "dropout").c_str()))
                             .bidirectional(is(request, "direction", "\"bidirectional\""))
                             .proj_size(number(request, "proj_size")));
    lstm->to(dtype);
    lstm->train(is(request, "mode", "\"train\""));
    Tensors leaves, results;
    for (auto &parameter : lstm->named_parameters()) {
        torch::NoGradGuard guard;
        parameter.value().copy_(given.at(parameter.key()));
        leaves[parameter.key()] = parameter.value();
    }
    for (const std::string name : {"input", "h_0", "c_0"})
        if (given.count(name)) leaves[name] = given.at(name).to(dtype);
    const std::string rest = after(request, "frozen"), frozen = rest.substr(0, rest.find(']'));
    for (auto &[name, leaf] : leaves) leaf.set_requires_grad(frozen.find(quote(name)) == std::string::npos);
    torch::optional<std::tuple<torch::Tensor, torch::Tensor>> state;
    if (given.count("h_0")) state = std::make_tuple(leaves["h_0"], leaves["c_0"]);
    std::tuple<torch::Tensor, torch::Tensor> final_state;
    if (given.count("lengths")) {
        namespace rnn = torch::nn::utils::rnn;
        const auto packed = rnn::pack_padded_sequence(leaves["input"], given.at("lengths"), batch_first, false);
        const auto [output, states] = lstm->forward_with_packed_input(packed, state);
        final_state = states;
        results["output"] =
            std::get<0>(rnn::pad_packed_sequence(output, batch_first, 0.0, number(request, "seq_len")));
    } else {
        std::tie(results["output"], final_state) = lstm->forward(leaves["input"], state);
    }
    std::tie(results["h_n"], results["c_n"]) = final_state;
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

const char *FEATURES = R"(["layers","bidirectional","lengths","projection","dropout","no bias","batch first",)"
                       R"("state omitted","gradients","partial loss","frozen","float64","float32","float16","bfloat16"])";

// Answers a request. The tensors of the answer, if any, are returned in `block`.
std::string answer(const std::string &request, std::string &block) {
    if (is(request, "cmd", "\"start\""))
        return "\"ok\":true,\"version\":1,\"name\":\"torch::nn::LSTM\",\"features\":" + std::string(FEATURES) +
               ",\"packages\":{\"torch\":\"" TORCH_VERSION "\"},\"describe\":{\"libtorch\":\"" TORCH_VERSION
               "\",\"compiler\":\"" __VERSION__ "\",\"threads\":\"" + std::to_string(torch::get_num_threads()) + "\"}";
    if (is(request, "cmd", "\"supports\"")) {
        static const std::regex empty_row(R"re("lengths":\[([\d,]*,)?0[,\]])re");
        const bool drops = std::atof(after(request, "dropout").c_str()) > 0 && number(request, "num_layers") > 1;
        if (drops && is(request, "mode", "\"train\""))
            return "\"reason\":\"the harness cannot read off the dropout masks that libtorch draws\"";
        const bool refused = std::regex_search(request, empty_row);
        return std::string("\"reason\":") + (refused ? "\"pack_padded_sequence refuses lengths of 0\"" : "null");
    }
    block = write_tensors(request, solve(request, read_tensors(block)));
    return "\"ok\":true,\"n\":" + std::to_string(block.size());
}

int main() {
    for (std::string line; std::getline(std::cin, line) && !is(line, "cmd", "\"stop\"");) {
        std::string block(number(line, "n"), '\0'), reply;
        std::cin.read(block.data(), static_cast<std::streamsize>(block.size()));
        const auto start = std::clock();
        try {
            reply = answer(line, block);
        } catch (const std::exception &error) {
            block.clear();
            const std::string text = error.what();
            reply = "\"error\":{\"type\":\"c10::Error\",\"message\":" + quote(text.substr(0, text.find('\n'))) +
                    ",\"traceback\":" + quote(text) + "}";
        }
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        std::cout << "{" << reply << ",\"seconds\":" << seconds << "}\n" << block << std::flush;
    }
}
