#!/bin/sh
# Template. Updates the template: all of a new version, checked, or nothing. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" update "$@"
