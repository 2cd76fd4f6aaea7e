#!/bin/sh
# Installs sockwarden for a machine: a virtual environment of its own in PREFIX, a link in BINDIR, a systemd unit, a
# configuration where there is none. With DESTDIR everything goes below that folder and nothing is started (for packagers).
#   sh make/install.sh PYTHON-WITH-HATCHLING UV      PYTHON=… is the interpreter that it will run with
set -eu
umask 022

DESTDIR=${DESTDIR:-}
PREFIX=${PREFIX:-/opt/sockwarden}
BINDIR=${BINDIR:-/usr/local/bin}
UNITDIR=${UNITDIR:-/etc/systemd/system}
CONFDIR=/etc/sockwarden
builder=$1
uv=$2

say() { echo "install: $*"; }
fail() {
    echo "install: $1" >&2
    exit 1
}

for folder in "${DESTDIR:-/}" "$PREFIX" "$BINDIR" "$UNITDIR"; do
    case $folder in
    /*) ;;
    *) fail "$folder is no absolute path" ;;
    esac
    case $folder in
    *[!A-Za-z0-9/._+-]*) fail "$folder: only letters, digits and / . _ + - may be in the path" ;;
    esac
done
[ -n "$DESTDIR" ] || [ "$(id -u)" = 0 ] || fail "needs root: sudo make install (or DESTDIR=FOLDER for a package)"

venv=$DESTDIR$PREFIX
[ ! -e "$venv" ] || [ -f "$venv/pyvenv.cfg" ] || [ -z "$(ls -A "$venv")" ] ||
    fail "$venv holds something else: name another folder, as in PREFIX=/opt/sockwarden-2"

# The service runs as root, so its interpreter is the system's where that is new enough, and no user's own.
python=${PYTHON:-/usr/bin/python3}
modern() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
modern "$python" || [ -n "${PYTHON:-}" ] || python=$("$builder" -c 'import sys; print(sys._base_executable)')
modern "$python" || fail "$python is no Python 3.11 or later: make install PYTHON=/usr/bin/python3.11"
python=$(readlink -f "$(command -v "$python")")
case $python in
/home/* | /root/* | /tmp/* | /var/tmp/*) fail "$python is a user's own Python: make install PYTHON=/usr/bin/python3.11" ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$uv" build --quiet --wheel --no-build-isolation --python "$builder" --out-dir "$work" .
rm -f "$work/.gitignore"
mkdir -p "$(dirname "$venv")"
# Beside the one that may be running, so that a failure on the way leaves that whole.
new=$venv.new
rm -rf "$new"
"$uv" venv --quiet --relocatable --python "$python" "$new"
"$uv" pip install --quiet --link-mode copy --compile-bytecode --python "$new/bin/python" --require-hashes \
    --requirement requirements/runtime.txt
"$uv" pip install --quiet --link-mode copy --compile-bytecode --python "$new/bin/python" --no-deps "$work"/*.whl
# uv's lock is writable for everybody, and nobody needs it any more.
rm -f "$new/.lock"
rm -rf "$venv"
mv "$new" "$venv"
version=$("$venv/bin/sockwarden" --version)
say "$venv (sockwarden ${version##* }, $("$venv/bin/python" --version))"

mkdir -p "$DESTDIR$BINDIR"
ln -sfn "$PREFIX/bin/sockwarden" "$DESTDIR$BINDIR/sockwarden"
say "$DESTDIR$BINDIR/sockwarden"

content=src/sockwarden/content
mkdir -p "$DESTDIR$UNITDIR" "$DESTDIR$CONFDIR"
sed "s|/opt/sockwarden/|$PREFIX/|" "$content/sockwarden.service" >"$work/unit"
install -m 644 "$work/unit" "$DESTDIR$UNITDIR/sockwarden.service"
say "$DESTDIR$UNITDIR/sockwarden.service"

if [ -e "$DESTDIR$CONFDIR/config.toml" ]; then
    say "$DESTDIR$CONFDIR/config.toml kept as it is"
else
    install -m 644 "$content/config.toml" "$DESTDIR$CONFDIR/config.toml"
    say "$DESTDIR$CONFDIR/config.toml"
fi

[ -z "$DESTDIR" ] || exit 0
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl try-restart sockwarden.service
    say "start it, now and at boot: systemctl enable --now sockwarden"
else
    say "systemd does not run here: start it by hand with: sockwarden watch"
fi
say "see what it can and cannot see here: sockwarden doctor"
