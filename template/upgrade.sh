#!/bin/sh
# Template. Upgrades the packages and the database; if anything fails, the old packages return. See --help.
set -eu
exec "$(dirname -- "$(readlink -f -- "$0")")/lib/run" upgrade "$@"
