#!/bin/bash
# Healthy while the session (or server) inside answers. VEIL_HEALTH is PORT/PATH, or "none".
set -u
[ "${VEIL_HEALTH:=9090/healthz}" = none ] && exit 0
exec 3<>"/dev/tcp/127.0.0.1/${VEIL_HEALTH%%/*}" || exit 1
printf 'GET /%s HTTP/1.0\r\nHost: localhost\r\n\r\n' "${VEIL_HEALTH#*/}" >&3
read -r -t 4 _ status _ <&3
[ "${status:-}" = 200 ]
