"""Write a network as ONNX: batch norm folded, static shape, six operators (eight with SiLU).

Beside the model goes parity.npz: a picture (uint8 RGB, letterboxed) and the
three fp32 outputs PyTorch gives for it, so that an engine can check itself.
"""
import argparse
import copy
import io
import json
import os
import warnings
from pathlib import Path

import cv2
import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from . import relate
from .loop import load_finished
from .model import CONFIGS, Detector, fold_batch_norm
from .paths import DATA, RUNS, need

OPERATORS = {"Conv", "Relu", "MaxPool", "Resize", "Concat", "Add"}
SILU = {"Sigmoid", "Mul"}


def letterbox(img, w, h, grey=114):
    """Fit the picture into w x h, keeping its shape; grey to the right and below."""
    s = min(w / img.shape[1], h / img.shape[0])
    nw, nh = max(1, round(img.shape[1] * s)), max(1, round(img.shape[0] * s))
    out = np.full((h, w, 3), grey, np.uint8)
    out[:nh, :nw] = cv2.resize(img, (nw, nh), interpolation=cv2.INTER_AREA if s < 1 else cv2.INTER_LINEAR)
    return out, s


def clean(model, allowed):
    """Constants become initializers; nothing but the allowed operators may remain."""
    g = model.graph
    for n in [n for n in g.node if n.op_type == "Constant"]:
        t = next(a.t for a in n.attribute if a.name == "value")
        t.name = n.output[0]
        g.initializer.append(t)
        g.node.remove(n)
    same = {n.output[0]: n.input[0] for n in g.node if n.op_type == "Identity"}  # equal tensors, stored once
    for n in [n for n in g.node if n.op_type == "Identity"]:
        g.node.remove(n)
    for i, n in enumerate(g.node):
        n.name = f"{n.op_type}_{i}"
        for j, name in enumerate(n.input):
            n.input[j] = same.get(name, name)
        if n.op_type == "Resize":  # roi and sizes are unused: say so by leaving them out
            while len(n.input) > 3:
                n.input.pop()
            n.input[1] = ""
            keep = [a for a in n.attribute if a.name in ("mode", "coordinate_transformation_mode", "nearest_mode")]
            del n.attribute[:]
            n.attribute.extend(keep)
    used = {i for n in g.node for i in n.input}
    kept = [t for t in g.initializer if t.name in used]
    del g.initializer[:]
    g.initializer.extend(kept)
    other = {n.op_type for n in g.node} - allowed
    if other:
        raise SystemExit(f"export left unexpected operators: {', '.join(sorted(other))}")
    return model


def to_onnx(model, w, h, metadata, ends=("p8", "p16", "p32")):
    """Detector in eval mode -> onnx.ModelProto."""
    if model.bend not in (0, 1):
        raise SystemExit(f"activations are on the way (bend {model.bend:.2f}): train on to 0 (ReLU) or 1 (SiLU)")
    m = fold_batch_norm(copy.deepcopy(model).cpu().float().eval())
    buf = io.BytesIO()
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(m, torch.zeros(1, 3, h, w), buf, opset_version=13, input_names=["images"],
                          output_names=list(ends), do_constant_folding=True)
    out = clean(onnx.load_from_string(buf.getvalue()), OPERATORS | SILU if model.bend else OPERATORS)
    out.producer_name = "veil"
    helper.set_model_props(out, {"veil.decoder": "veil", "veil.classes": "background,interview",
                                 "veil.name": model.name, **metadata})
    onnx.checker.check_model(out)
    return out


def sample_picture(path, w, h):
    """A val picture, or noise where there is none."""
    img = cv2.imread(str(path), cv2.IMREAD_COLOR) if path else None
    if img is None:
        return np.random.default_rng(0).integers(0, 256, (h, w, 3), dtype=np.uint8)
    return letterbox(cv2.cvtColor(img, cv2.COLOR_BGR2RGB), w, h)[0]


def parity(model, picture):
    """The picture and what PyTorch makes of it, in fp32 with batch norm folded as exported."""
    m = fold_batch_norm(copy.deepcopy(model).cpu().float().eval())
    x = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        p8, p16, p32 = (o.numpy() for o in m(x))
    return {"image": picture, "p8": p8, "p16": p16, "p32": p32}


def write(model, folder, w=640, h=384, metadata=None, picture=None, metrics=None):
    """ONNX, parity.npz and metrics.json, each renamed into place when whole."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    def place(name, data):
        (folder / (name + ".part")).write_bytes(data)
        os.replace(folder / (name + ".part"), folder / name)
    buf = io.BytesIO()
    np.savez(buf, **parity(model, sample_picture(picture, w, h)))
    place("parity.npz", buf.getvalue())
    if metrics is not None:
        place("metrics.json", (json.dumps(metrics, indent=1) + "\n").encode())
    place(f"{model.name}.onnx", to_onnx(model, w, h, metadata or {}).SerializeToString())
    return folder / f"{model.name}.onnx"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--checkpoint", help="checkpoint (averaged weights are used); without one: random weights")
    ap.add_argument("--model", default="veil-n", choices=CONFIGS, help="network for random weights")
    ap.add_argument("--size", default="640x384", help="width x height, multiples of 32")
    ap.add_argument("--picture", help="picture for parity.npz (default: one of the val pictures)")
    ap.add_argument("--metrics", help="JSON file of figures, stored beside and in the model")
    ap.add_argument("--relation", help="text of train.relate: classes by comparison with the other faces")
    ap.add_argument("--out", default=str(RUNS / "export"), help="folder to write to")
    a = ap.parse_args()
    w, h = map(int, a.size.split("x"))
    if w % 32 or h % 32:
        raise SystemExit("--size must be multiples of 32")
    if a.checkpoint:
        model, ck = load_finished(a.checkpoint)
        summary = f"{ck['seen']} pictures seen in {ck['step']} steps, {ck['spent'] / 60:.0f} min, seed {ck['args']['seed']}"
    else:
        torch.manual_seed(0)
        model, summary = Detector(a.model).eval(), "random weights"
    metrics = json.load(open(a.metrics)) if a.metrics else None
    meta = {"veil.training": summary}
    if metrics:
        meta["veil.metrics"] = json.dumps(metrics)
    if a.relation:
        meta["veil.relation"] = need(a.relation, "relation").read_text(encoding="ascii").strip()
        meta["veil.again"] = ",".join(map(str, relate.AGAIN))  # it was fitted to what all looks say
    picture = a.picture or next(iter(sorted((DATA / "val" / "images").rglob("*.webp"))), None)
    print(write(model, a.out, w, h, meta, picture, metrics))


if __name__ == "__main__":
    main()
