#!/bin/sh
# Template. Runs an overnight automation for a date. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" overnight "$@"
