"""A network for ncnn: converted, optimised and quantised with ncnn's own tools, then run and held
against OpenCV's fp32, so that no time counts of a network that does not compute what it should."""
import json
import subprocess
from pathlib import Path

import cv2
import numpy as np

FLOAT, INT8 = "ncnn float", "ncnn int8"
CALIBRATION = 4  # pictures
# The largest error of the difference that two pictures make to an output, as a share of that difference
# (root mean squares). 1 is an output that does not depend on the picture; random weights enlarge what
# rounding does.
WAYS = ["fp32", "fp32-direct", "bf16", "bf16-direct"]  # of ncnn_time.cpp
ALLOWED = {FLOAT: dict(zip(WAYS, [0.001, 0.001, 0.2, 0.2])), INT8: dict.fromkeys(WAYS, 0.7)}


class Wrong(Exception):
    """ncnn's tools or its results, in a line."""


def call(*words):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Wrong(f"{Path(words[0]).name}: {done.stdout.strip()[-300:]}")
    return done.stdout


def pictures(width, height, count, seed):
    """Smooth noise, 0..1, planes first."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        small = rng.random((12, 20, 3), np.float32)
        yield cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1).copy()


def expected(onnx_file, x):
    net = cv2.dnn.readNetFromONNX(str(onnx_file))
    net.setInput(x[None])
    names = net.getUnconnectedOutLayersNames()
    return {n.split("!")[-1]: y[0] for n, y in zip(names, net.forward(names))}


def outputs(found, path, truth):
    """Of one run, by name, or Wrong."""
    values = np.fromfile(path, np.float32)
    at, out = 0, {}
    for name, *shape in found["outputs"]:
        y = values[at:at + np.prod(shape)].reshape(shape)
        at += y.size
        if name not in truth or y.shape != truth[name].shape or not np.isfinite(y).all():
            raise Wrong(f"output {name}: not one of the network's, not of its shape {y.shape}, or not finite")
        out[name] = y
    if len(out) != len(truth) or at != values.size:
        raise Wrong(f"{len(out)} outputs instead of {len(truth)}")
    return out


def error(found, truth):
    """The largest of all outputs; found, truth: of two pictures."""
    changes = [(found[0][k] - found[1][k], truth[0][k] - truth[1][k]) for k in truth[0]]
    return max(float(np.sqrt(np.mean((a - b) ** 2) / np.mean(b ** 2))) for a, b in changes)


def command(engine, files, size, threads, seconds, out):
    param, weights = files[engine]
    return [out / "ncnn_time", param, weights, files["input"], files["output"], size, str(threads), str(seconds)]


def check(onnx_file, files, width, height, out):
    """The largest error of every way to run it, or Wrong."""
    found, truth = {}, []
    for x in pictures(width, height, 2, seed=3):
        x.tofile(files["input"])
        truth.append(expected(onnx_file, x))
        for engine, ways in ALLOWED.items():
            ran = json.loads(call(*command(engine, files, f"{width}x{height}", 1, 0, out)))
            for way in ways:
                found.setdefault((engine, way), []).append(
                    outputs(ran, f"{files['output']}.{way}", truth[-1]))
    worst = {}
    for (engine, way), two in found.items():
        name = f"{engine} {way}"
        worst[name] = error(two, truth)
        if not worst[name] <= ALLOWED[engine][way]:
            raise Wrong(f"{name}: results are {worst[name]:.3g} off OpenCV's")
    return worst


def prepare(folder, onnx_file, width, height, out):
    """Files of both engines; also the largest error of each."""
    bins = Path(folder) / "bin"
    stem = str(onnx_file)[:-len(".onnx")] + ".ncnn"
    files = {FLOAT: (stem + ".param", stem + ".bin"), INT8: (stem + ".int8.param", stem + ".int8.bin"),
             "input": stem + ".input", "output": stem + ".output"}
    call(bins / "onnx2ncnn", onnx_file, stem + ".raw.param", stem + ".raw.bin")
    call(bins / "ncnnoptimize", stem + ".raw.param", stem + ".raw.bin", *files[FLOAT], 0)
    for i, picture in enumerate(pictures(width, height, CALIBRATION, seed=2)):
        np.save(f"{stem}.{i}.npy", picture)
    Path(stem + ".list").write_text("".join(f"{stem}.{i}.npy\n" for i in range(CALIBRATION)))
    call(bins / "ncnn2table", *files[FLOAT], stem + ".list", stem + ".table",
         f"shape=[{width},{height},3]", "type=1", "thread=1", "method=kl")
    call(bins / "ncnn2int8", *files[FLOAT], *files[INT8], stem + ".table")
    return files, check(onnx_file, files, width, height, out)
