#!/bin/sh
# Takes away what install.sh put there: service, unit, link and virtual environment. The configuration, the store and
# permanent audit rules stay, unless PURGE=1.
set -eu

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/opt/sockwarden}
BINDIR=${BINDIR:-/usr/local/bin}
UNITDIR=${UNITDIR:-/etc/systemd/system}
PURGE=${PURGE:-}

say() { echo "uninstall: $*"; }
fail() {
    echo "uninstall: $1" >&2
    exit 1
}
# A folder or a file that is not there is no failure: a second run finds nothing and says so.
remove() {
    [ -e "$1" ] || [ -L "$1" ] || return 0
    rm -rf "$1"
    say "removed $1"
    removed=1
}

[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "needs root: sudo make uninstall"
removed=
unit=$DESTDIR$UNITDIR/sockwarden.service
venv=$DESTDIR$PREFIX
link=$DESTDIR$BINDIR/sockwarden
[ ! -d "$venv" ] || [ -f "$venv/pyvenv.cfg" ] ||
    fail "$venv is no virtual environment: nothing was removed; give the PREFIX of the installation"

if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ] && [ -e "$unit" ]; then
    systemctl disable --now --quiet sockwarden.service
    say "stopped sockwarden.service"
fi
rules=$DESTDIR/etc/audit/rules.d/50-sockwarden.rules
# While the program is still there: permanent rules, and what a killed watch left in the kernel.
if [ -z "$DESTDIR" ] && [ "$PURGE" = 1 ] && [ -x "$venv/bin/sockwarden" ] &&
    { [ -e "$rules" ] || [ -e /run/sockwarden/audit.json ]; }; then
    "$venv/bin/sockwarden" setup audit remove --for auditd ||
        fail "audit rules are still there, nothing else was removed: see above, or run without PURGE=1"
fi

remove "$unit"
[ -n "$DESTDIR" ] || [ ! -d /run/systemd/system ] || systemctl daemon-reload
[ "$(readlink "$link" 2>/dev/null || true)" != "$PREFIX/bin/sockwarden" ] || remove "$link"
remove "$venv"

for kept in "$DESTDIR/etc/sockwarden" "$DESTDIR/var/lib/sockwarden" "$DESTDIR/var/log/sockwarden"; do
    if [ "$PURGE" = 1 ]; then
        remove "$kept"
    elif [ -e "$kept" ]; then
        say "kept $kept (PURGE=1 removes it)"
    fi
done
[ ! -e "$rules" ] || say "kept $rules: permanent audit rules, to be removed by hand (key sockwarden)"
[ -n "$removed" ] || say "nothing of sockwarden is installed in $venv"
