// Times ncnn on one whole network, with fp32 and with bf16 between layers, with and without
// Winograd, and writes what each found, so that the caller can hold it against another engine.
// ncnn_time PARAM BIN INPUT OUTPUT WIDTHxHEIGHT THREADS SECONDS   INPUT: float32, three planes
// Prints the least and the median time of the fastest way, ms, and the outputs' names and shapes;
// OUTPUT.WAY (fp32, fp32-direct, bf16, bf16-direct) gets them all, float32, in that order.
#include <ncnn/cpu.h>
#include <ncnn/net.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

static void die(const std::string &what) {
    std::fprintf(stderr, "ncnn_time: %s\n", what.c_str());
    std::exit(1);
}

struct runner {
    ncnn::UnlockedPoolAllocator blobs; // before the net, which goes first
    ncnn::PoolAllocator workspace;
    ncnn::Net net;

    runner(const char *param, const char *bin, int threads, bool bf16, bool winograd) {
        net.opt.lightmode = true;
        net.opt.num_threads = threads;
        net.opt.blob_allocator = &blobs;
        net.opt.workspace_allocator = &workspace;
        net.opt.use_winograd_convolution = winograd;
        net.opt.use_sgemm_convolution = true;
        net.opt.use_packing_layout = net.opt.use_int8_inference = true;
        net.opt.use_bf16_storage = bf16;
        if (net.load_param(param) || net.load_model(bin))
            die(std::string(param) + ": ncnn cannot load it");
    }

    std::vector<ncnn::Mat> run(const ncnn::Mat &in) {
        std::vector<ncnn::Mat> out;
        ncnn::Extractor ex = net.create_extractor();
        if (ex.input(net.input_names()[0], in))
            die("no input");
        for (const char *name : net.output_names()) {
            out.emplace_back();
            if (ex.extract(name, out.back()))
                die(std::string(name) + ": not computed");
        }
        return out;
    }
};

static void write(const std::vector<ncnn::Mat> &out, const std::string &path) {
    std::ofstream file(path, std::ios::binary);
    for (const ncnn::Mat &m : out)
        for (int c = 0; c < m.c; c++)
            file.write((const char *)(const float *)m.channel(c),
                       (std::streamsize)sizeof(float) * m.w * m.h);
    if (!file.flush())
        die(path + ": cannot write");
}

static std::vector<double> measure(runner &r, const ncnn::Mat &in, double seconds) {
    using clock = std::chrono::steady_clock;
    std::vector<double> times;
    auto end = clock::now() + std::chrono::duration<double>(seconds);
    while (times.size() < 5 || clock::now() < end) {
        auto start = clock::now();
        r.run(in);
        times.push_back(std::chrono::duration<double, std::milli>(clock::now() - start).count());
    }
    std::sort(times.begin(), times.end());
    return times;
}

int main(int argc, char **argv) {
    int width, height;
    if (argc != 8 || std::sscanf(argv[5], "%dx%d", &width, &height) != 2) {
        std::fprintf(stderr,
                     "usage: ncnn_time PARAM BIN INPUT OUTPUT WIDTHxHEIGHT THREADS SECONDS\n");
        return 2;
    }
    int threads = std::atoi(argv[6]);
    ncnn::set_omp_dynamic(0);
    ncnn::set_omp_num_threads(threads);
    ncnn::Mat in(width, height, 3);
    std::ifstream file(argv[3], std::ios::binary);
    for (int c = 0; c < 3; c++)
        file.read((char *)(float *)in.channel(c), (std::streamsize)sizeof(float) * width * height);
    if (!file)
        die(std::string(argv[3]) + ": too short");

    std::vector<double> best;
    const char *way = nullptr;
    std::string shapes;
    for (const char *name : {"fp32", "fp32-direct", "bf16", "bf16-direct"}) {
        runner r(argv[1], argv[2], threads, !std::strncmp(name, "bf16", 4),
                 !std::strchr(name, '-'));
        std::vector<ncnn::Mat> out = r.run(in);
        write(out, argv[4] + std::string(".") + name);
        shapes.clear();
        for (size_t i = 0; i < out.size(); i++)
            shapes += (i ? ", [\"" : "[\"") + std::string(r.net.output_names()[i]) + "\", " +
                      std::to_string(out[i].c) + ", " + std::to_string(out[i].h) + ", " +
                      std::to_string(out[i].w) + "]";
        std::vector<double> times = measure(r, in, std::atof(argv[7]) / 4);
        if (best.empty() || times[0] < best[0]) {
            best = times;
            way = name;
        }
    }
    std::printf("{\"least_ms\": %.6f, \"p50_ms\": %.6f, \"way\": \"%s\", \"outputs\": [%s]}\n",
                best[0], best[best.size() / 2], way, shapes.c_str());
    return 0;
}
