#!/bin/sh
# Template. Checks the app and its folder; changes nothing. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" check "$@"
