#!/bin/sh
# Template. Upgrades packages and schema; if anything fails, the packages of before are put back.
set -eu

usage() {
    cat <<EOF
Usage: upgrade.sh [--verbose | --quiet]

Upgrades what requirements.txt names, then the database. data/upgrades/ gets a folder
with the packages before and after, and the output, which --verbose shows too.
EOF
}

show=
for arg; do
    case $arg in
        --verbose | --quiet) show=$arg ;;
        --help) usage; exit ;;
        *) echo "upgrade.sh: unknown option '$arg', see upgrade.sh --help" >&2; exit 2 ;;
    esac
done
cd -- "$(dirname -- "$0")"
umask 027
freeze() { ../bin/python -m pip --disable-pip-version-check freeze --all > "$run/requirements-$1.txt"; }
put_back() { # bin and lib as they were before; where this is cut off, the next run goes on
    for part in bin lib; do
        [ -d ../.before-upgrade/$part ] || continue
        rm -rf ../$part && mv ../.before-upgrade/$part ../$part
    done
    rm -rf ../.before-upgrade
}
upgrade() {
    ../bin/python -m pip --disable-pip-version-check install --upgrade --upgrade-strategy eager \
        -r requirements.txt && ../bin/python lib/setup_database.py && : > "$run/succeeded"
}

exec 9>> data/upgrades/.lock
flock -n 9 || { echo "upgrade.sh: another upgrade is running" >&2; exit 1; }
if [ -d ../.before-upgrade ]; then
    echo "upgrade.sh: the last upgrade was cut off; first its packages are replaced by those of before" >&2
    put_back
fi
run=data/upgrades/$(date +%Y-%m-%d-%H%M%S)
mkdir -p "$run"
freeze before
rm -rf ../.new-snapshot ../.old-snapshot
mkdir ../.new-snapshot
cp -al ../bin ../lib ../.new-snapshot
mv ../.new-snapshot ../.before-upgrade
upgrade 2>&1 | if [ "$show" = --verbose ]; then tee "$run/output.txt"; else cat > "$run/output.txt"; fi
if ! [ -e "$run/succeeded" ]; then
    put_back
    echo "upgrade.sh: failed, the packages are those of before; see $PWD/$run/output.txt" >&2
    exit 1
fi
mv ../.before-upgrade ../.old-snapshot
rm -rf ../.old-snapshot
freeze after
[ "$show" = --quiet ] || echo "Upgraded; the packages before and after are in $PWD/$run"
