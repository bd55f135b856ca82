#!/bin/sh
# Template. Updates the template: all of a new version, checked, or nothing. See --help.
set -eu
exec "$(dirname -- "$0")/lib/run" update "$@"
