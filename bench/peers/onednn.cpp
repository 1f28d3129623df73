// Times oneDNN on the convolutions of a network alone: u8 activations, s8 weights, u8 results, one
// scale a channel, ReLU fused, each in the layout oneDNN likes best. Nothing in between (pooling,
// upsampling, additions, quantisation) is counted.
// onednn LIST SECONDS   LIST: lines "channels height width outputs kh kw sh sw pt pl pb pr groups"
// Threads: OMP_NUM_THREADS. Prints the least and the median time of all of them in turn, ms.
#include <oneapi/dnnl/dnnl.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <unordered_map>
#include <vector>

using namespace dnnl;
using dt = memory::data_type;
using tag = memory::format_tag;

struct step {
    convolution_forward conv;
    std::unordered_map<int, memory> args;
};

static memory filled(const memory::desc &d, const engine &e, int value) {
    memory m(d, e);
    std::memset(m.get_data_handle(), value, d.get_size());
    return m;
}

static step make(const std::vector<long> &v, const engine &e) {
    long ci = v[0], h = v[1], w = v[2], co = v[3], kh = v[4], kw = v[5], g = v[12];
    long oh = (h + v[8] + v[10] - kh) / v[6] + 1, ow = (w + v[9] + v[11] - kw) / v[7] + 1;
    memory::desc src({1, ci, h, w}, dt::u8, tag::any), dst({1, co, oh, ow}, dt::u8, tag::any);
    memory::desc weights = g == 1 ? memory::desc({co, ci, kh, kw}, dt::s8, tag::any)
                                  : memory::desc({g, co / g, ci / g, kh, kw}, dt::s8, tag::any);
    memory::desc bias({co}, dt::s32, tag::a);
    primitive_attr attr;
    attr.set_output_scales(1 << 1, std::vector<float>((size_t)co, 0.01f));
    post_ops after;
    after.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
    attr.set_post_ops(after);
    convolution_forward::desc d(prop_kind::forward_inference, algorithm::convolution_direct, src,
                                weights, bias, dst, {v[6], v[7]}, {v[8], v[9]}, {v[10], v[11]});
    convolution_forward::primitive_desc p(d, attr, e);
    return {convolution_forward(p),
            {{DNNL_ARG_SRC, filled(p.src_desc(), e, 77)},
             {DNNL_ARG_WEIGHTS, filled(p.weights_desc(), e, 3)},
             {DNNL_ARG_BIAS, filled(p.bias_desc(), e, 0)},
             {DNNL_ARG_DST, filled(p.dst_desc(), e, 0)}}};
}

int main(int argc, char **argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: onednn LIST SECONDS\n");
        return 2;
    }
    engine e(engine::kind::cpu, 0);
    stream s(e);
    std::vector<step> steps;
    std::ifstream list(argv[1]);
    for (std::string line; std::getline(list, line);) {
        std::istringstream in(line);
        std::vector<long> v;
        for (long n; in >> n;)
            v.push_back(n);
        if (v.size() != 13) {
            std::fprintf(stderr, "onednn: %s: not thirteen numbers: %s\n", argv[1], line.c_str());
            return 1;
        }
        steps.push_back(make(v, e));
    }
    if (steps.empty()) {
        std::fprintf(stderr, "onednn: %s: no convolutions\n", argv[1]);
        return 1;
    }
    using clock = std::chrono::steady_clock;
    std::vector<double> times;
    auto end = clock::now() + std::chrono::duration<double>(std::atof(argv[2]));
    while (times.size() < 5 || clock::now() < end) {
        auto start = clock::now();
        for (step &k : steps)
            k.conv.execute(s, k.args);
        s.wait();
        times.push_back(std::chrono::duration<double, std::milli>(clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    std::printf("{\"least_ms\": %.6f, \"p50_ms\": %.6f}\n", times[0], times[times.size() / 2]);
    return 0;
}
