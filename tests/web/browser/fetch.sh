#!/bin/sh
# Fetches what the browser tests drive Chromium with: pinned versions from npm, kept in the cache.
# usage: fetch.sh
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
cache=${VEIL_CACHE:-$root/cache}
want="playwright-core@1.48.2 axe-core@4.10.2"
[ "$(cat "$cache/browser/.done" 2>/dev/null)" != "$want" ] || exit 0
command -v npm >/dev/null 2>&1 || { echo "fetch: npm is missing: run tools/setup.sh media" >&2; exit 1; }
echo "fetch: $want"
rm -rf "$cache/browser"
mkdir -p "$cache/browser"
echo '{"private": true}' >"$cache/browser/package.json"
# shellcheck disable=SC2086
(cd "$cache/browser" && npm install --silent --no-fund --no-audit --ignore-scripts $want >/dev/null) || {
    echo "fetch: npm could not install $want" >&2
    exit 1
}
echo "$want" >"$cache/browser/.done"
