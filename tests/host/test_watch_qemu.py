"""A fresh boot of Debian's stock kernel: what was forked before audit was first enabled is missed, and that is said.

The kernel gives a task its audit context when it is forked, and none before audit was enabled for the first time
(kernel/auditsc.c, audit_alloc); on a machine that runs already this cannot be had again. The machine is emulated, so it
needs no virtualisation; its kernel is fetched from the distribution once and kept.
"""

from __future__ import annotations

import compileall
import importlib.util
import json
import os
import py_compile
import shutil
import stat
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from runtimes import run
from watching import marked

pytestmark = pytest.mark.host
pytest_plugins = ["runtime_fixtures"]

PACKAGE = "linux-image-cloud-amd64"
MODULES = ("net/unix/unix_diag.ko", "net/ipv4/inet_diag.ko", "net/ipv4/tcp_diag.ko")
LIBRARIES = ("sockwarden", "click", "msgspec", "rich", "markdown_it", "mdurl", "pygments")
NOT_NEEDED = ("test", "tests", "idlelib", "ensurepip", "tkinter", "lib2to3", "site-packages", "dist-packages")
INIT = """\
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin PYTHONPATH=/app HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
for module in /modules/*; do insmod $module; done
mkfifo /go
sh -c 'read line </go; exec /bin/client connect /run/docker.sock forked-before' &
old=$!
{python} /listener.py &
{python} -c 'from sockwarden.cli.main import main; main()' watch --state /state --output ndjson >/alerts 2>/messages &
watch=$!
wait_for() {{ until grep -qs "$1" "$2" || ! kill -0 $watch; do usleep 200000; done; }}
echo
wait_for '^watching' /messages
echo >/go
wait $old
echo "MARK old client gave $?"
client connect /run/docker.sock forked-after
echo "MARK new client gave $?"
wait_for forked-after /alerts
kill $watch
wait $watch
echo "MARK watch gave $?"
sed 's/^/MESSAGE /' /messages
sed 's/^/ALERT /' /alerts
poweroff -f
"""
LISTENER = """\
import socket
server = socket.socket(socket.AF_UNIX)
server.bind("/run/docker.sock")
server.listen()
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def kernel(require: Callable[..., str]) -> Path:
    """A folder with vmlinuz and modules of the distribution's stock kernel, taken out of its package."""
    apt, depends = require("apt-get"), require("apt-cache")
    require("dpkg-deb")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sockwarden-tests" / PACKAGE
    if (cache / "vmlinuz").exists():
        return cache
    listed = subprocess.run([depends, "depends", "--important", PACKAGE], capture_output=True, text=True, check=False)
    names = [line.split()[1] for line in listed.stdout.splitlines() if "Depends: linux-image-" in line]
    work = cache.with_name(f"{PACKAGE}.{os.getpid()}")
    work.mkdir(parents=True)
    fetched = subprocess.run([apt, "download", *names[:1]], cwd=work, capture_output=True, check=False, timeout=150)
    packages = list(work.glob("*.deb"))
    if not packages:
        shutil.rmtree(work)
        reason = f"{PACKAGE} cannot be fetched: {fetched.stderr.decode()[-300:]}"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    run("dpkg-deb", "--extract", packages[0], work / "root")
    next((work / "root/boot").glob("vmlinuz-*")).rename(work / "vmlinuz")
    for module in MODULES:
        next((work / "root/lib/modules").glob(f"*/kernel/{module}")).rename(work / Path(module).name)
    shutil.rmtree(work / "root")
    packages[0].unlink()
    shutil.rmtree(cache, ignore_errors=True)
    work.rename(cache)
    return cache


def test_what_was_forked_before_audit_is_missed_and_that_is_said(
    kernel: Path, client: Path, tmp_path: Path, require: Callable[..., str]
) -> None:
    qemu, busybox = require("qemu-system-x86_64"), require("busybox")
    root = tmp_path / "root"
    fill(root, Path(busybox), client, kernel)
    with (tmp_path / "initramfs").open("wb") as archive:
        subprocess.run([busybox, "cpio", "-o", "-H", "newc"], cwd=root, input=listing(root), stdout=archive, check=True)
    command = [qemu, "-accel", "tcg", "-cpu", "max", "-m", "768", "-nographic", "-no-reboot"]
    command += ["-kernel", f"{kernel}/vmlinuz", "-initrd", f"{tmp_path}/initramfs"]
    command += ["-append", "console=ttyS0 loglevel=1 panic=-1"]
    machine = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=180, check=False)
    lines = machine.stdout.decode("utf-8", "backslashreplace").replace("\r", "").splitlines()
    assert [line for line in lines if line.startswith("MARK")] == [
        "MARK old client gave 0",
        "MARK new client gave 0",
        "MARK watch gave 0",
    ], "\n".join(lines)
    alerts = [json.loads(line.removeprefix("ALERT ")) for line in lines if line.startswith("ALERT ")]
    assert any(marked(alert, "forked-after") for alert in alerts)
    assert not any(marked(alert, "forked-before") for alert in alerts)
    messages = [line for line in lines if line.startswith("MESSAGE ")]
    assert any("before audit" in line for line in messages), messages
    assert any("busybox" in line for line in messages), messages


def fill(root: Path, busybox: Path, client: Path, kernel: Path) -> None:
    """The root file system: this interpreter and this project where they are here, and what drives them."""
    for folder in ("bin", "proc", "sys", "dev", "run", "tmp", "etc", "modules", "app"):
        (root / folder).mkdir(parents=True)
    python = Path(sys.executable).resolve()
    shutil.copy(busybox, root / "bin/busybox")
    shutil.copy(client, root / "bin/client")
    for number, module in enumerate(MODULES):
        shutil.copy(kernel / Path(module).name, root / f"modules/{number}.ko")
    (root / "etc/passwd").write_text("root:x:0:0:root:/:/bin/sh\n", encoding="ascii")
    (root / "listener.py").write_text(LISTENER, encoding="ascii")
    (root / "init").write_text(INIT.format(python=python), encoding="ascii")
    (root / "init").chmod(0o755)
    place(root, python)
    standard = Path(sysconfig.get_path("stdlib"))
    skip = shutil.ignore_patterns(*NOT_NEEDED, "config-*", "__pycache__")
    shutil.copytree(standard, root / str(standard)[1:], ignore=skip)
    for name in LIBRARIES:
        found = importlib.util.find_spec(name)
        assert found
        shutil.copytree(
            Path(str(found.origin)).parent, root / "app" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    compileall.compile_dir(
        root, maxlevels=20, quiet=2, workers=0, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )
    for library in shared([python, *root.rglob("*.so")]):
        place(root, library)


def place(root: Path, file: Path) -> None:
    """A file at the same path below the root."""
    target = root / str(file)[1:]
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, target)


def shared(programs: Iterable[Path]) -> set[Path]:
    """The shared libraries that programs load, as ldd finds them here."""
    printed = subprocess.run(["ldd", *programs], capture_output=True, text=True, check=False).stdout
    words = [word for line in printed.splitlines() if not line.endswith(":") for word in line.split()]
    return {Path(word) for word in words if word.startswith("/") and Path(word).is_file()}


def listing(root: Path) -> bytes:
    """Every file and folder below, for cpio."""
    names = [str(path.relative_to(root)) for path in sorted(root.rglob("*")) if not stat.S_ISSOCK(path.lstat().st_mode)]
    return "\n".join(names).encode()
