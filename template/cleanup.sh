#!/bin/sh
# Template. Rotates logs, and removes old logins, uploads and work files. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" cleanup "$@"
