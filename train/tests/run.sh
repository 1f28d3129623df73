#!/bin/sh
# Runs one test module of train/; 77 (skipped) where PyTorch or OpenCV is not installed.
# usage: run.sh PYTHON MODULE     (make train-setup installs what is needed)
set -eu
cd "$(dirname "$0")/../.."
"$1" -c 'import torch, cv2, numpy' 2>/dev/null || { echo "PyTorch and OpenCV are needed: make train-setup"; exit 77; }
exec env OMP_NUM_THREADS=1 "$1" -m unittest "train.tests.$2"
