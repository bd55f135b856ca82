#!/bin/sh
# Template. Takes a backup while the app runs. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" backup "$@"
