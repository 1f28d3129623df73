#!/bin/sh
# Our engine beside other engines, in one run, on the same networks, sizes and threads: ONNX Runtime
# (fp32, and int8 with our quantised graph), oneDNN (int8, convolutions alone), OpenCV DNN (fp32),
# PyTorch (fp32), and ncnn (int8 and float) where there is one. Writes peers.json, peers.md and peers.png.
# usage: bench/peers.sh [-o FOLDER] [run.py options]      (bench/peers.sh --help)
# VEIL: the program (build/cli/veil); NCNN: a folder with ncnn installed (docs/benchmarks.md)
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/.." && pwd)
python=${PYTHON:-/usr/bin/python3}
veil=${VEIL:-$root/build/cli/veil}
cache=${VEIL_CACHE:-$root/cache}
out=$root/out/peers
ort=1.30.0

die() { echo "peers: $*" >&2; exit 1; }

[ "${1:-}" = -o ] && { out=$2; shift 2; }
sh "$root/tools/setup.sh" build media peers
[ -x "$veil" ] || die "there is no program at $veil: run make, or set VEIL"
mkdir -p "$out" "$cache"

# Only the library itself is needed, so the package's install script, which fetches more, is not run.
if [ ! -d "$cache/onnxruntime/node_modules/onnxruntime-node/bin" ]; then
    echo "peers: onnxruntime-node $ort"
    mkdir -p "$cache/onnxruntime"
    echo '{"private": true}' >"$cache/onnxruntime/package.json"
    (cd "$cache/onnxruntime" && npm install --silent --no-fund --no-audit --ignore-scripts \
        "onnxruntime-node@$ort" >/dev/null) || die "npm could not install onnxruntime-node"
fi
g++ -std=c++17 -O2 -Wall -Wextra -o "$out/onednn" "$here/peers/onednn.cpp" -ldnnl
if [ -n "${NCNN:-}" ]; then
    for tool in onnx2ncnn ncnnoptimize ncnn2table ncnn2int8; do
        [ -x "$NCNN/bin/$tool" ] || die "ncnn: there is no program at $NCNN/bin/$tool"
    done
    g++ -std=c++17 -O2 -Wall -Wextra -I"$NCNN/include" -o "$out/ncnn_time" "$here/peers/ncnn_time.cpp" \
        -L"$NCNN/lib" -lncnn -fopenmp
    set -- --ncnn "$NCNN" "$@"
else
    echo "peers: ncnn is left out: NCNN names no folder with one (docs/benchmarks.md)" >&2
fi
NODE_PATH=$cache/onnxruntime/node_modules exec "$python" "$here/peers/run.py" --veil "$veil" \
    --out "$out" "$@"
