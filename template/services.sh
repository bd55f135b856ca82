#!/bin/sh
# Template. Installs the servers and nightly jobs on this system, or removes them. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" services "$@"
