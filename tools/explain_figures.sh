#!/bin/sh
# The figures of docs/explainability.md: what the network looks at, and whether the maps are true.
# usage: VEIL_DATA=FOLDER tools/explain_figures.sh [LIMIT [CHECK_FACES]] [more options of veil explain]
# LIMIT pictures of the test split (120), CHECK_FACES of each class tested (6). Writes out/explain.html
# and out/explain.json. About three minutes of one core.
set -eu
cd "$(dirname "$0")/.."
: "${VEIL_DATA:?set it to the folder with train.jsonl}"
limit=${1:-120}
faces=${2:-6}
[ $# -lt 1 ] || shift
[ $# -lt 1 ] || shift
mkdir -p out
exec "${VEIL:-build/cli/veil}" explain --dataset "$VEIL_DATA" --limit "$limit" --check \
    --check-faces "$faces" -o out/explain.html --json out/explain.json -y "$@"
