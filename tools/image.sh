#!/bin/sh
# Builds the image of deploy/Dockerfile without a Docker engine and tries it: buildah, with a base made
# by debootstrap. Needs root, and the packages buildah, debootstrap and ffmpeg.
# usage: tools/image.sh [WORK_FOLDER]      keeps the image in WORK_FOLDER/store (default: a temporary one)
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-$(mktemp -d)}
mkdir -p "$work"
for p in buildah debootstrap ffmpeg git; do
    command -v "$p" >/dev/null 2>&1 || { echo "image: $p is not installed" >&2; exit 1; }
done
b() { buildah --root "$work/store" --runroot "$work/run" --storage-driver vfs "$@"; }

if ! b images -q docker.io/library/debian:bookworm-slim >/dev/null 2>&1; then
    [ -d "$work/base" ] || debootstrap --variant=minbase bookworm "$work/base" >"$work/base.log"
    c=$(b from scratch)
    b add -q "$c" "$work/base" / >/dev/null
    b commit -q "$c" docker.io/library/debian:bookworm-slim >/dev/null
    b rm "$c" >/dev/null
fi
rm -rf "$work/context"
mkdir "$work/context"
git -C "$root" archive HEAD | tar -x -C "$work/context"
b bud --isolation chroot --pull-never --format docker -f "$work/context/deploy/Dockerfile" -t veil \
    "$work/context" >"$work/build.log" 2>&1 || { tail -20 "$work/build.log" >&2; exit 1; }

c=$(b from --pull-never localhost/veil)
b run --isolation chroot "$c" -- id
b run --isolation chroot "$c" -- veil --version
# A session without a source covers, and says that it is healthy.
(b run --isolation chroot "$c" -- veil run udp://127.0.0.1:29391 -o /tmp/x.mkv --size 320x240 \
    --duration 12 --metrics 29390 -q >/dev/null 2>&1 || true) &
ok=1
for _ in 1 2 3 4 5 6 7 8; do
    sleep 1
    if b run --isolation chroot -e VEIL_HEALTH=29390/healthz "$c" -- veil-health 2>/dev/null; then
        ok=0
        break
    fi
done
wait
# A clip that arrives in a folder appears hidden in another. (A cover will do: decoding, masks and faces
# have tests of their own.) Not at /input and /output: over volumes that an image declares, buildah in a
# chroot mounts nothing.
rm -rf "$work/in" "$work/out"
mkdir -p "$work/in" "$work/out"
ffmpeg -v error -y -f lavfi -i testsrc2=s=320x240:r=30:d=1 -pix_fmt yuv420p "$work/in/clip.mp4"
chown -R 10001:10001 "$work/in" "$work/out"
b run --isolation chroot -v "$work/in:/mnt/in" -v "$work/out:/mnt/out" -e WATCH_ONCE=1 -e WATCH_SECONDS=1 \
    "$c" -- veil-watch /mnt/in /mnt/out
b rm "$c" >/dev/null
[ -s "$work/out/clip.mp4" ] && [ -s "$work/in/done/clip.mp4" ] ||
    { echo "image: the watched folder's clip did not come out" >&2; exit 1; }
[ "$ok" = 0 ] || { echo "image: the health check does not answer" >&2; exit 1; }
b images localhost/veil
