#!/bin/sh
# Template. Upgrades packages and schema; if anything fails, the packages of before are put back.
set -eu

usage() {
    cat <<EOF
Usage: upgrade.sh [--verbose | --quiet]

Upgrades what requirements.txt names, then the database. A folder in data/upgrades/
gets the packages before and after, and the output, which --verbose shows too.
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
[ -w .. ] || { echo "upgrade.sh: $(id -un) may not change the env; run $PWD/upgrade.sh as its owner" >&2; exit 1; }
freeze() { ../bin/python -m pip --disable-pip-version-check freeze --all > "$run/requirements-$1.txt"; }
put_back() { # the packages of before; where this is cut off, the next run goes on
    rm -rf ../.failed-upgrade; mkdir ../.failed-upgrade
    for part in ../.before-upgrade/*; do
        [ -e "$part" ] || continue
        [ ! -e "../${part##*/}" ] || mv "../${part##*/}" ../.failed-upgrade
        mv "$part" ..
    done
    rm -rf ../.before-upgrade ../.failed-upgrade
}
upgrade() {
    ../bin/python -m pip --disable-pip-version-check install --upgrade --upgrade-strategy eager \
        -r requirements.txt && ../bin/python lib/setup_database.py && freeze after && : > "$run/succeeded"
}

exec 9< . # the lock is the folder itself, which any user of these scripts can open
flock -n 9 || { echo "upgrade.sh: another update, upgrade or backup is running" >&2; exit 1; }
[ ! -d ../.before-upgrade ] || { echo "upgrade.sh: the last upgrade was cut off; taking it back" >&2; put_back; }
while run=data/upgrades/$(date +%Y-%m-%d-%H%M%S); [ -e "$run" ]; do sleep 1; done
mkdir -p "$run" && trap '[ "$(id -u)" != 0 ] || chown -R --reference=data/upgrades "$run"' EXIT
freeze before
rm -rf ../.new-snapshot ../.old-snapshot; mkdir ../.new-snapshot
for part in bin etc include lib share; do # real copies, since some software changes files in place
    [ ! -d ../$part ] || cp -a --reflink=auto ../$part ../.new-snapshot
done
mv ../.new-snapshot ../.before-upgrade
trap : HUP INT TERM # they end pip, so the upgrade has failed, and we go on
upgrade 2>&1 | if [ "$show" = --verbose ]; then tee "$run/output.txt"; else cat > "$run/output.txt"; fi || :
if ! [ -e "$run/succeeded" ]; then
    put_back
    echo "upgrade.sh: failed, the packages are those of before; see $PWD/$run/output.txt" >&2
    exit 1
fi
mv ../.before-upgrade ../.old-snapshot; rm -rf ../.old-snapshot
[ "$show" = --quiet ] || echo "Upgraded; the packages before and after are in $PWD/$run"
