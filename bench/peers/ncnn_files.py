"""A network for ncnn: converted, optimised and quantised with ncnn's own tools, then run once and held
against OpenCV's fp32, so that no time counts of a network that does not compute what it should."""
import json
import subprocess
from pathlib import Path

import cv2
import numpy as np

FLOAT, INT8 = "ncnn float", "ncnn int8"
CALIBRATION = 4  # pictures
# The largest error of an output, as a share of the output's own size (root mean squares). Random weights
# enlarge what rounding does; an output that has nothing to do with the right one is off by 1 and more.
ALLOWED = {FLOAT: {"fp32": 0.001, "bf16": 0.15}, INT8: {"fp32": 0.5, "bf16": 0.5}}


class Wrong(Exception):
    """ncnn's tools or its results, in a line."""


def call(*words):
    done = subprocess.run([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise Wrong(f"{Path(words[0]).name}: {done.stdout.strip()[-300:]}")
    return done.stdout


def pictures(width, height, count):
    """Smooth noise, 0..1, planes first."""
    rng = np.random.default_rng(2)
    for _ in range(count):
        small = rng.random((12, 20, 3), np.float32)
        yield cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).transpose(2, 0, 1).copy()


def expected(onnx_file, x):
    net = cv2.dnn.readNetFromONNX(str(onnx_file))
    net.setInput(x[None])
    names = net.getUnconnectedOutLayersNames()
    return {n.split("!")[-1]: y[0] for n, y in zip(names, net.forward(names))}


def errors(found, output, truth):
    """Of every output of one run, or Wrong."""
    values = np.fromfile(output, np.float32)
    at, shares = 0, []
    for name, *shape in found["outputs"]:
        y = values[at:at + np.prod(shape)].reshape(shape)
        at += y.size
        want = truth.pop(name)
        if y.shape != want.shape or not np.isfinite(y).all():
            raise Wrong(f"output {name}: shape {y.shape} instead of {want.shape}, or not finite")
        shares.append(float(np.sqrt(np.mean((y - want) ** 2) / np.mean(want ** 2))))
    if truth or at != values.size:
        raise Wrong(f"outputs missing: {', '.join(truth)}")
    return shares


def command(engine, files, size, threads, seconds, out):
    param, weights = files[engine]
    return [out / "ncnn_time", param, weights, files["input"], files["output"], size, str(threads), str(seconds)]


def prepare(folder, onnx_file, width, height, out):
    """Files of both engines; also the largest error of each."""
    bins = Path(folder) / "bin"
    stem = str(onnx_file)[:-len(".onnx")] + ".ncnn"
    files = {FLOAT: (stem + ".param", stem + ".bin"), INT8: (stem + ".int8.param", stem + ".int8.bin"),
             "input": stem + ".input", "output": stem + ".output"}
    call(bins / "onnx2ncnn", onnx_file, stem + ".raw.param", stem + ".raw.bin")
    call(bins / "ncnnoptimize", stem + ".raw.param", stem + ".raw.bin", *files[FLOAT], 0)
    x, *calibration = pictures(width, height, 1 + CALIBRATION)
    x.tofile(files["input"])
    for i, picture in enumerate(calibration):
        np.save(f"{stem}.{i}.npy", picture)
    Path(stem + ".list").write_text("".join(f"{stem}.{i}.npy\n" for i in range(CALIBRATION)))
    call(bins / "ncnn2table", *files[FLOAT], stem + ".list", stem + ".table",
         f"shape=[{width},{height},3]", "type=1", "thread=1", "method=kl")
    call(bins / "ncnn2int8", *files[FLOAT], *files[INT8], stem + ".table")
    truth = expected(onnx_file, x)
    worst = {}
    for engine, storages in ALLOWED.items():
        found = json.loads(call(*command(engine, files, f"{width}x{height}", 1, 0, out)))
        for storage, allowed in storages.items():
            share = max(errors(found, f"{files['output']}.{storage}", dict(truth)))
            worst[f"{engine}, {storage} between layers"] = share
            if share > allowed:
                raise Wrong(f"{engine}, {storage} between layers: results are {share:.3g} off OpenCV's")
    return files, worst
