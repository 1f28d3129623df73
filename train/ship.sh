#!/bin/sh
# Makes a model to ship out of a checkpoint and measures it: the comparison of faces is fitted, the network
# exported, built as int8 and fp32, and judged by `veil eval`. Prints the figures of models/README.md; leaks
# are measured by tools/eval_leaks.sh with VEIL_MODEL=OUT/NAME.veil.
# usage: VEIL_DATA=FOLDER train/ship.sh CHECKPOINT OUT     VEIL: the program (build/cli/veil)
set -eu
cd "$(dirname "$0")/.."
[ $# = 2 ] || { sed -n '2,5s/^# //p' "$0" >&2; exit 2; }
: "${VEIL_DATA:?set it to the folder with train.jsonl}"
checkpoint=$1 out=$2 python=${PYTHON:-/usr/bin/python3} veil=${VEIL:-build/cli/veil}
mkdir -p "$out"
"$python" -m train.relate "$checkpoint" --labels train/labels/second.jsonl train/labels/third.jsonl --out "$out/relation.txt"
onnx=$("$python" -m train.export --checkpoint "$checkpoint" --relation "$out/relation.txt" --out "$out")
name=$(basename "$onnx" .onnx)
# 192 training pictures, evenly over the list, none of the test split
"$python" - "$VEIL_DATA" >"$out/calibrate.txt" <<'EOF'
import json, os, sys
rows = [json.loads(s) for s in open(os.path.join(sys.argv[1], "train.jsonl"))]
rows = [r["image"] for r in rows if r["split"] == "train"]
print("\n".join(os.path.join(os.path.abspath(sys.argv[1]), rows[i * len(rows) // 192]) for i in range(192)))
EOF
"$veil" model build "$onnx" -o "$out/$name.veil" --precision int8 --calibrate "$out/calibrate.txt" --pictures 192
"$veil" model build "$onnx" -o "$out/$name-fp32.veil" --precision fp32
"$veil" model verify "$out/$name-fp32.veil" --against "$out/parity.npz"
for side in 640 1024; do
    for kind in "" -fp32; do
        echo "$name$kind, long side $side"
        "$veil" eval wider --model "$out/$name$kind.veil" --size $side
    done
done
"$veil" eval subject --model "$out/$name.veil" --plot "$out/roc.png"
