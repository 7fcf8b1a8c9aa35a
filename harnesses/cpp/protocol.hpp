// The worker protocol (docs/worker-protocol.md): requests, tensors, and the loop that answers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <cxxabi.h>
#include <functional>
#include <iostream>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <typeinfo>
#include <vector>

// ---- JSON. Values are found by searching for their key, which is enough for the protocol.

// Returns the text that follows a key.
inline std::string after(const std::string &json, const std::string &key) {
    const auto at = json.find("\"" + key + "\":");
    return at == std::string::npos ? "" : json.substr(at + key.size() + 3);
}

inline int64_t number(const std::string &json, const std::string &key) { return std::atoll(after(json, key).c_str()); }

inline bool is(const std::string &json, const std::string &key, const std::string &value) {
    return after(json, key).rfind(value, 0) == 0;
}

inline std::string quote(const std::string &text) {
    std::string quoted = "\"";
    for (const char each : text) {
        if (each == '"' || each == '\\') quoted += '\\';
        quoted += static_cast<unsigned char>(each) < ' ' ? ' ' : each;
    }
    return quoted + "\"";
}

inline std::vector<int64_t> numbers(const std::string &list) {
    std::vector<int64_t> found;
    std::istringstream stream(list);
    for (std::string each; std::getline(stream, each, ',');) found.push_back(std::stoll(each));
    return found;
}

// Returns the number of earlier calls of a case. A harness with the feature "repeated call" gets no others than `same`.
inline int64_t earlier_calls(const std::string &json) {
    const std::string rest = after(json, "earlier_calls"), words = rest.substr(0, rest.find(']'));
    return static_cast<int64_t>(std::count(words.begin(), words.end(), '"')) / 2;
}

// ---- Tensors in the format of safetensors.

struct Tensor {
    std::string dtype; // F64, F32, F16, I64
    std::vector<int64_t> shape;
    std::string bytes;
};

using Tensors = std::map<std::string, Tensor>;

inline Tensors read_tensors(const std::string &block) {
    static const std::regex entry(
        R"re("([^"]+)":\{"dtype":"(\w+)","shape":\[([\d,]*)\],"data_offsets":\[(\d+),(\d+)\])re");
    uint64_t size;
    std::memcpy(&size, block.data(), sizeof size);
    const std::string header = block.substr(sizeof size, size);
    Tensors found;
    for (std::sregex_iterator at(header.begin(), header.end(), entry), end; at != end; ++at) {
        const size_t first = std::stoull((*at)[4]), last = std::stoull((*at)[5]);
        found[(*at)[1]] = {(*at)[2], numbers((*at)[3]), block.substr(sizeof size + size + first, last - first)};
    }
    return found;
}

inline std::string write_tensors(const Tensors &tensors) {
    std::string header, data;
    for (const auto &[name, tensor] : tensors) {
        std::ostringstream shape;
        for (const auto size : tensor.shape) shape << (shape.tellp() ? "," : "") << size;
        header += (header.empty() ? "{" : ",") + quote(name) + ":{\"dtype\":" + quote(tensor.dtype) + ",\"shape\":[" +
                  shape.str() + "],\"data_offsets\":[" + std::to_string(data.size());
        data += tensor.bytes;
        header += "," + std::to_string(data.size()) + "]}";
    }
    header += "}";
    const uint64_t size = header.size();
    return std::string(reinterpret_cast<const char *>(&size), sizeof size) + header + data;
}

// ---- The loop.

// Returns the tensors that a request wants, by name: their shapes.
inline std::map<std::string, std::vector<int64_t>> wanted(const std::string &request) {
    static const std::regex entry(R"re("([^"]+)":\[([\d,]*)\])re");
    const std::string wants = after(request, "wants"), names = wants.substr(0, wants.find('}'));
    std::map<std::string, std::vector<int64_t>> found;
    for (std::sregex_iterator at(names.begin(), names.end(), entry), end; at != end; ++at)
        found[(*at)[1]] = numbers((*at)[2]);
    return found;
}

struct Harness {
    std::string start;                                                     // fields of the answer to `start`
    std::function<std::string(const std::string &request)> refuse;         // why a case is unsupported, or ""
    std::function<Tensors(const std::string &request, const Tensors &)> solve; // all tensors of `wanted`
};

// Answers a request. The tensors of the answer, if any, are returned in `block`.
inline std::string answer(const Harness &harness, const std::string &request, std::string &block) {
    if (is(request, "cmd", "\"start\"")) return "\"ok\":true,\"version\":1," + harness.start;
    if (is(request, "cmd", "\"supports\"")) {
        const std::string reason = harness.refuse(request);
        return "\"reason\":" + (reason.empty() ? "null" : quote(reason));
    }
    block = write_tensors(harness.solve(request, read_tensors(block)));
    return "\"ok\":true,\"n\":" + std::to_string(block.size());
}

// Answers the requests on standard input until `stop`.
inline void serve(const Harness &harness) {
    for (std::string line; std::getline(std::cin, line) && !is(line, "cmd", "\"stop\"");) {
        std::string block(number(line, "n"), '\0'), reply;
        std::cin.read(block.data(), static_cast<std::streamsize>(block.size()));
        const auto start = std::clock();
        try {
            reply = answer(harness, line, block);
        } catch (const std::exception &error) {
            block.clear();
            const std::string text = error.what();
            char *type = abi::__cxa_demangle(typeid(error).name(), nullptr, nullptr, nullptr);
            // Frameworks throw classes of their own; those of the standard library come from the harness.
            const std::string origin = std::string(type).rfind("std::", 0) == 0 ? "true" : "false";
            reply = "\"error\":{\"by_adapter\":" + origin + ",\"type\":" + quote(type) +
                    ",\"message\":" + quote(text.substr(0, text.find('\n'))) +
                    ",\"traceback\":" + quote(text) + "}";
            std::free(type);
        }
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        std::cout << "{" << reply << ",\"seconds\":" << seconds << "}\n" << block << std::flush;
    }
}
