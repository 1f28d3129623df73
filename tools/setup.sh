#!/bin/sh
# Installs the Debian packages that veil needs; calls apt only when one is missing.
# usage: tools/setup.sh GROUP...     groups: build media test browser fuzz train peers arm64 (no group: build)
set -eu

build="gcc libc6-dev binutils make pkg-config meson ninja-build libavcodec-dev libavformat-dev
libavfilter-dev libavutil-dev libavdevice-dev libswscale-dev libswresample-dev libjansson-dev
libmicrohttpd-dev libprotobuf-c-dev protobuf-c-compiler libmatio-dev libpng-dev libexpat1-dev"
media="ffmpeg python3"
# live tests: nginx with RTMP, an RTSP server, a reader of compose files
live="nginx libnginx-mod-rtmp python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base
gstreamer1.0-plugins-good gstreamer1.0-plugins-bad docker-compose"
test="g++ libcmocka-dev clang-format python3-numpy python3-yaml openssl $live"
fuzz="clang"
arm64="gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user libcmocka-dev:arm64"
peers="g++ libdnnl-dev python3-torch python3-onnx python3-opencv python3-matplotlib"
train="python3-torch python3-numpy python3-opencv python3-matplotlib python3-scipy python3-onnx"

die() { echo "setup: $*" >&2; exit 1; }

want= foreign=
for g in "${@:-build}"; do
    case $g in
    build) want="$want $build" ;;
    media)
        want="$want $media"
        command -v npm >/dev/null 2>&1 || want="$want npm"
        ;;
    test) want="$want $test" ;;
    fuzz) want="$want $fuzz" ;;
    train) want="$want $train" ;;
    browser)
        want="$want chromium firefox-esr"
        command -v node >/dev/null 2>&1 || want="$want nodejs"
        ;;
    peers) want="$want $peers" ;;
    arm64)
        want="$want $arm64"
        foreign=arm64
        ;;
    *) die "no group is called $g; there are: build media test browser fuzz train peers arm64" ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "setup: not a Debian system; needed are the counterparts of:"
    echo "$want"
    exit 0
fi

missing=
for p in $want; do
    # one line an architecture
    dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null 2>&1 || die "needs root or sudo to install:$missing"
    as_root=sudo
fi
echo "setup: installing$missing"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if [ -n "$foreign" ] && ! dpkg --print-foreign-architectures | grep -qx "$foreign"; then
    $as_root dpkg --add-architecture "$foreign"
    $as_root apt-get update -q >"$log" 2>&1 </dev/null || { tail -5 "$log" >&2; die "apt-get update failed"; }
fi
# shellcheck disable=SC2086
install() {
    # RUNLEVEL=1: daemons that tests start themselves (nginx) are not started as services
    $as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -o DPkg::Lock::Timeout=300 --no-install-recommends $missing >"$log" 2>&1 </dev/null
}
# The package lists may be absent or old: fetch them, once, only when needed.
if ! install; then
    $as_root apt-get update -q >"$log" 2>&1 </dev/null || { tail -5 "$log" >&2; die "apt-get update failed"; }
    install || { tail -15 "$log" >&2; die "apt-get install failed"; }
fi
