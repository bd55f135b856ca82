#!/bin/sh
# Template. Makes the app dir ready to run; run it as often as you like. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" setup "$@"
