"""Runs every engine on every network in turn, several rounds, keeps the least times, and writes
peers.json, a table (peers.md) and a plot (peers.png). Called by bench/peers.sh."""
import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import shape_inference

import ncnn_files
import nets

HERE = Path(__file__).resolve().parent
OURS = "veil int8"
ONEDNN = "oneDNN int8, convolutions alone"
PYTORCH = "PyTorch eager fp32"
NCNN = {ncnn_files.INT8: "#4f7f3f", ncnn_files.FLOAT: "#9fbf5f"}  # takes part where it is given
ENGINES = {OURS: "#1f5fbf", "ONNX Runtime int8": "#e9a23b", "ONNX Runtime fp32": "#c9742a", ONEDNN: "#2a9d8f",
           "OpenCV fp32": "#8a6fb0", PYTORCH: "#bf3f1f"}
VNNI = ", no AMX"  # behind an engine: without the matrix tiles that only some server processors have


def has_amx():
    try:
        return "amx_int8" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


if has_amx():
    ENGINES = {OURS: "#1f5fbf", OURS + VNNI: "#6f9fdf", **ENGINES, ONEDNN + VNNI: "#7fc7bd"}


def say(*text):
    print("peers:", *text, file=sys.stderr, flush=True)


def run(command, **more):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    return done.stdout, done.stderr.strip()[-300:] if done.returncode else None


def convolutions(path):
    """Lines for onednn.cpp."""
    model = shape_inference.infer_shapes(onnx.load(str(path)))
    values = [*model.graph.value_info, *model.graph.input, *model.graph.output]
    shape = {v.name: [d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
    dims = {t.name: list(t.dims) for t in model.graph.initializer}
    for n in model.graph.node:
        if n.op_type != "Conv":
            continue
        a = {x.name: list(x.ints) or x.i for x in n.attribute}
        _, c, h, w = shape[n.input[0]]
        yield " ".join(map(str, [c, h, w, dims[n.input[1]][0], *a["kernel_shape"], *a["strides"],
                                 *a.get("pads", [0, 0, 0, 0]), a.get("group", 1)]))


def prepare(name, width, height, a):
    """Files of one network at one size: ONNX, our model, its quantised graph, its convolutions."""
    stem = a.out / f"{name}-{width}x{height}"
    files = {k: stem.with_name(stem.name + end) for k, end in
             {"onnx": ".onnx", "veil": ".veil", "qdq": ".qdq.onnx", "list": ".convs"}.items()}
    noise = a.out / "noise"
    noise.mkdir(exist_ok=True)
    rng = np.random.default_rng(1)
    for i in range(2):
        if not (noise / f"{i}.png").exists():
            picture = cv2.resize(rng.integers(0, 256, (12, 20, 3), np.uint8), (640, 384), interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(noise / f"{i}.png"), picture)
    nets.export(nets.make(name), width, height, files["onnx"])
    _, wrong = run([a.veil, "model", "build", files["onnx"], "-o", files["veil"], "--precision", "int8",
                    "--calibrate", noise, "--pictures", 2, "--range", "max", "--decoder", "none",
                    "--qdq", files["qdq"], "--name", name])
    if wrong:
        raise SystemExit(f"peers: veil model build: {wrong}")
    files["list"].write_text("\n".join(convolutions(files["onnx"])) + "\n")
    files = {k: str(v) for k, v in files.items()}
    if a.ncnn:
        try:
            files["ncnn"], worst = ncnn_files.prepare(a.ncnn, files["onnx"], width, height, a.out)
            say("ncnn, off OpenCV's results by at most:", ", ".join(f"{k} {v:.2g}" for k, v in worst.items()))
        except ncnn_files.Wrong as e:
            say(f"{name}: ncnn is left out: {e}")
    return files


def command(engine, name, files, size, threads, a):
    seconds = str(a.seconds)
    if engine in NCNN:
        return ncnn_files.command(engine, files["ncnn"], size, threads, seconds, a.out)
    return {OURS: [a.veil, "bench", "engine", "--model", files["veil"], "--size", size, "--threads", str(threads),
                   "--runs", str(a.runs), "--json", "-"],
            "ONNX Runtime int8": ["node", HERE / "ort.js", files["qdq"], size, str(threads), seconds],
            "ONNX Runtime fp32": ["node", HERE / "ort.js", files["onnx"], size, str(threads), seconds],
            ONEDNN: [a.out / "onednn", files["list"], seconds],
            "OpenCV fp32": [sys.executable, HERE / "opencv_time.py", files["onnx"], size, str(threads), seconds],
            PYTORCH: [sys.executable, HERE / "torch_time.py", name, size, str(threads), seconds]}[engine.replace(VNNI, "")]


def environment(engine, threads):
    more = {"OMP_NUM_THREADS": str(threads)}
    if engine.endswith(VNNI):
        more.update(VEIL_CPU="avx2,avxvnni,avx512,avx512vnni", ONEDNN_MAX_CPU_ISA="AVX512_CORE_VNNI")
    return {**os.environ, **more}


def once(engine, name, files, size, threads, a):
    text, wrong = run(command(engine, name, files, size, threads, a), env=environment(engine, threads))
    if wrong:
        say(f"{engine} on {name}: {wrong}")
        return None
    found = json.loads(text)
    if not engine.startswith(OURS):
        return found
    return {**found["sides"][0], "peak_gops": found["peak_gops"], "gmac": found["gmac"]}


def measure(a):
    rows = []
    for size in a.sizes:
        width, height = map(int, size.split("x"))
        for name in a.nets:
            say(f"{name} {size}")
            files = prepare(name, width, height, a)
            for threads in a.threads:
                best, medians, ours = {}, {}, None
                for _ in range(a.rounds):
                    for engine in ENGINES:
                        if engine in NCNN and "ncnn" not in files:
                            continue
                        found = once(engine, name, files, size, threads, a)
                        if not found:
                            continue
                        if found["least_ms"] <= best.get(engine, 1e9):
                            best[engine] = found["least_ms"]
                            ours = found if engine == OURS else ours
                        medians[engine] = min(found["p50_ms"], medians.get(engine, 1e9))
                rows.append({"net": name, "size": size, "threads": threads, "gmac": ours["gmac"],
                             "peak_gops": ours["peak_gops"], "share_of_peak": ours["share"],
                             "arena_bytes": ours["arena_bytes"], "layers": ours["layers"],
                             "least_ms": best, "best_median_ms": medians})
    return rows


def table(rows):
    short = [e.replace(", convolutions alone", " convs") for e in ENGINES]
    yield "| network | size | threads | GMAC | " + " | ".join(f"{e}, ms" for e in short) + \
        " | times ORT's best | times oneDNN | times ncnn's best | times PyTorch | % of peak |"
    yield "|" + "---|" * (9 + len(short))
    for r in rows:
        t = r["least_ms"]
        ort = min((t[e] for e in t if e.startswith("ONNX")), default=None)
        ncnn = min((t[e] for e in t if e in NCNN), default=None)
        times = [x / t[OURS] if x else None
                 for x in (ort, t.get(ONEDNN), ncnn, t.get(PYTORCH))]
        cells = [r["net"], r["size"], r["threads"], f"{r['gmac']:.3f}", *(f"{t[e]:.2f}" if e in t else "-" for e in ENGINES),
                 *(f"{x:.2f}" if x else "-" for x in times), f"{100 * r['share_of_peak']:.0f}"]
        yield "| " + " | ".join(map(str, cells)) + " |"


def plot(rows, path):
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    fig, ax = plt.subplots(figsize=(14, 1.2 + 1.35 * len(rows)))
    high = 0.8 / len(ENGINES)
    for i, r in enumerate(rows):
        for k, (engine, colour) in enumerate(ENGINES.items()):
            ms = r["least_ms"].get(engine)
            if ms:
                y = i - 0.4 + high * (k + 0.5)
                ax.barh(y, ms, high * 0.9, color=colour, label=engine if i == 0 else None)
                ax.text(ms, y, f" {ms:.2f}", va="center", fontsize=7)
    ax.set_yticks(range(len(rows)), [f"{r['net']}\n{r['size']}, {r['threads']} thread{'s'[:r['threads'] > 1]}" for r in rows])
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel("ms a picture, least of all rounds (logarithmic)")
    ax.set_title("The same networks on the same processor, in one run")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    fig.tight_layout()
    fig.savefig(path, dpi=110)


def main():
    p = argparse.ArgumentParser(prog="bench/peers.sh", description=__doc__)
    p.add_argument("--veil", required=True, help=argparse.SUPPRESS)
    p.add_argument("--out", type=Path, required=True, help="folder (peers.sh -o)")
    p.add_argument("--ncnn", help=argparse.SUPPRESS)
    p.add_argument("--nets", default=",".join(nets.NETS), help="of %(default)s")
    p.add_argument("--sizes", default="640x384", help="WxH,... (%(default)s)")
    p.add_argument("--threads", default="1,2", help="(%(default)s)")
    p.add_argument("--rounds", type=int, default=5, help="how often every engine has its turn (%(default)s)")
    p.add_argument("--seconds", type=float, default=0.5, help="of a turn (%(default)s)")
    p.add_argument("--runs", type=int, default=60, help="of our engine in a turn (%(default)s)")
    a = p.parse_args()
    a.nets, a.sizes = a.nets.split(","), a.sizes.split(",")
    a.threads = [int(t) for t in a.threads.split(",")]
    if a.ncnn:
        ENGINES.update(NCNN)
    rows = measure(a)
    (a.out / "peers.json").write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    text = "\n".join(table(rows)) + "\n"
    (a.out / "peers.md").write_text(text)
    plot(rows, a.out / "peers.png")
    print(text, end="")
    say(f"written: {a.out}/peers.json, peers.md, peers.png")


if __name__ == "__main__":
    main()
