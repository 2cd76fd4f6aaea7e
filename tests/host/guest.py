"""A machine of the tests' own with Debian's stock kernel: what this machine's kernel lacks, or must not be asked for.

`guest.boot(script)` boots it, runs a shell script in it and gives what the script printed. The machine is emulated, so
it needs no virtualisation: a boot takes some 6 s, and programs run 20 times slower than here. Its kernel is fetched
from the distribution once and kept. Inside are this interpreter, this project (`sockwarden`), busybox, and what a test
adds.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from initramfs import Archive, add_programs, add_python
from runtimes import run

from sockwarden.document import Document

PACKAGE = "linux-image-cloud-amd64"
MODULES = (
    "net/unix/unix_diag.ko",
    "net/ipv4/inet_diag.ko",
    "net/ipv4/tcp_diag.ko",
    "fs/overlayfs/overlay.ko",
)
FOLDERS = ("/proc", "/sys", "/dev", "/run", "/tmp", "/mnt", "/var/tmp")  # noqa: S108 - the guest's own
# The plainest processor, and no defence against others on it: in emulation both cost half of the time.
MACHINE = (
    "-accel",
    "tcg",
    "-cpu",
    "qemu64,+rdrand",
    "-no-reboot",
    "-nic",
    "none",
    "-display",
    "none",
    "-monitor",
    "none",
)
# A kernel that hangs for 20 s tells where each processor is, and ends.
CMDLINE = "console=ttyS0 loglevel=1 panic=-1 mitigations=off softlockup_panic=1 panic_print=64"
_TAIL = 120
INIT = """\
#!/bin/busybox sh
# The first file system can be no container's old root (pivot_root(2)); a mount of it on top of it can.
/bin/busybox mount -o bind / /mnt
cd /mnt
/bin/busybox mount -o move . /
exec /bin/busybox chroot . /bin/busybox sh /start
"""
START = """\
/bin/busybox --install -s /bin
export PATH={path}:/bin PYTHONPATH=/app HOME=/ COLUMNS=200
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir /dev/pts /dev/shm
mount -t devpts pts /dev/pts
for folder in /dev/shm /run /tmp; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
chmod 755 /run
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t securityfs security /sys/kernel/security
mount -t tracefs tracing /sys/kernel/tracing
mount -t debugfs debug /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
for module in /modules/*; do insmod $module; done
# What the script prints leaves by a line of its own: nothing of the kernel's comes in between.
stty -F /dev/ttyS1 raw
sh /script >/dev/ttyS1
echo "EXIT $?" >/dev/ttyS1
poweroff -f
"""


class Output(NamedTuple):
    """What the script printed, its exit status, and the kernel's console with what came on standard error."""

    lines: list[str]
    status: int
    console: str
    seconds: float

    def after(self, word: str) -> list[str]:
        """What stands after a line's first word, of the lines that begin with it."""
        return [line.removeprefix(f"{word} ") for line in self.lines if line.startswith(f"{word} ")]

    def documents(self, word: str) -> list[Document]:
        """The same, read as JSON."""
        return [json.loads(line) for line in self.after(word)]


class Guest:
    """The machine. What never changes is packed once; `folder` keeps that, and what each boot said."""

    def __init__(self, kernel: Path, folder: Path, qemu: str, busybox: Path) -> None:
        self.kernel, self.folder, self.qemu = kernel, folder, qemu
        self._boots = 0
        self._packed: dict[tuple[Path, ...], Path] = {(): self._pack_common(busybox)}

    def boot(
        self,
        script: str,
        *,
        programs: Iterable[str | Path] = (),
        files: Mapping[str, Path | str | bytes] | None = None,
        cmdline: str = "",
        memory: int = 1024,
        processors: int = 1,
        machine: Iterable[str] = (),
        seconds: float = 180,
    ) -> Output:
        """Boots, runs the script and switches off.

        programs    of this machine, put at the same paths with the libraries they load
        files       what else is there: a path in the guest with the file here, or its content (of a script: with `#!`)
        cmdline     more words for the kernel, as in "lsm=lockdown,capability,bpf"
        memory      MiB; the files lie in it
        processors  more than one help where programs run beside each other
        machine     more options of QEMU's, as in "-icount", "shift=0"
        """
        self._boots += 1
        folder = self.folder / f"boot-{self._boots}"
        folder.mkdir()
        image, results, console = folder / "initramfs", folder / "results", folder / "console"
        with image.open("wb") as stream:
            for packed in (self._packed[()], self._pack_programs(programs)):
                stream.write(packed.read_bytes())
            _pack_files(Archive(stream), {**(files or {}), "/script": script})
        command = [
            self.qemu,
            *MACHINE,
            *machine,
            "-m",
            str(memory),
            "-smp",
            str(processors),
            "-serial",
            f"file:{console}",
            "-serial",
            f"file:{results}",
        ]
        command += ["-kernel", f"{self.kernel}/vmlinuz", "-initrd", str(image), "-append", f"{CMDLINE} {cmdline}"]
        began = time.monotonic()
        try:
            subprocess.run(command, stdin=subprocess.DEVNULL, timeout=seconds, check=True)
            why = "the machine stopped before its script had ended"
        except subprocess.TimeoutExpired:
            why = f"the script had not ended after {seconds} s"
        image.unlink()
        *lines, last = ["", *_text(results).splitlines()]
        said = _text(console)
        if not last.startswith("EXIT "):
            tails = "\n".join([*lines, last][-_TAIL:]), "\n".join(said.splitlines()[-_TAIL:])
            raise AssertionError(f"{why}; {folder} keeps all that it said. Results:\n{tails[0]}\nConsole:\n{tails[1]}")
        return Output(lines[1:], int(last.split()[1]), said, time.monotonic() - began)

    def drop_archives(self) -> None:
        """Frees the space; no boot may follow."""
        for packed in self._packed.values():
            packed.unlink()

    def _pack_common(self, busybox: Path) -> Path:
        packed = self.folder / "common"
        with packed.open("wb") as stream:
            archive = Archive(stream)
            for folder in FOLDERS:
                archive.folder(folder)
            archive.file("/bin/busybox", busybox)
            for number, module in enumerate(MODULES):
                archive.file(f"/modules/{number}.ko", self.kernel / Path(module).name)
            archive.data("/etc/passwd", b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
            archive.data("/etc/group", b"root:x:0:\ndocker:x:999:\nnogroup:x:65534:\n")
            archive.data("/init", INIT.encode(), 0o755)
            archive.data(
                "/start", START.format(path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin").encode()
            )
            add_python(archive)
            archive.close()
        return packed

    def _pack_programs(self, programs: Iterable[str | Path]) -> Path:
        wanted = tuple(sorted(Path(program) for program in programs))
        if wanted not in self._packed:
            packed = self.folder / f"programs-{len(self._packed)}"
            with packed.open("wb") as stream:
                archive = Archive(stream)
                add_programs(archive, wanted)
                archive.close()
            self._packed[wanted] = packed
        return self._packed[wanted]


def _pack_files(archive: Archive, files: Mapping[str, Path | str | bytes]) -> None:
    for name, source in files.items():
        if isinstance(source, Path):
            archive.file(name, source)
        else:
            content = source.encode() if isinstance(source, str) else source
            archive.data(name, content, 0o755 if content.startswith(b"#!") else 0o644)
    archive.close()


def _text(file: Path) -> str:
    """What came out of a serial line; nothing where the machine never began."""
    content = file.read_bytes() if file.exists() else b""
    return content.decode("utf-8", "backslashreplace").replace("\r", "")


def fetched_kernel(apt: str, depends: str) -> Path | str:
    """A folder with vmlinuz and modules of the distribution's stock kernel, taken out of its package; or why not."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sockwarden-tests" / PACKAGE
    if all((cache / Path(name).name).exists() for name in ("vmlinuz", *MODULES)):
        return cache
    listed = subprocess.run([depends, "depends", "--important", PACKAGE], capture_output=True, text=True, check=False)
    names = [line.split()[1] for line in listed.stdout.splitlines() if "Depends: linux-image-" in line]
    work = cache.with_name(f"{PACKAGE}.{os.getpid()}")
    work.mkdir(parents=True)
    fetched = subprocess.run([apt, "download", *names[:1]], cwd=work, capture_output=True, check=False, timeout=150)
    packages = list(work.glob("*.deb"))
    if not packages:
        shutil.rmtree(work)
        return f"{PACKAGE} cannot be fetched: {fetched.stderr.decode()[-300:]}"
    run("dpkg-deb", "--extract", packages[0], work / "root")
    next((work / "root/boot").glob("vmlinuz-*")).rename(work / "vmlinuz")
    for module in MODULES:
        next((work / "root/lib/modules").glob(f"*/kernel/{module}")).rename(work / Path(module).name)
    shutil.rmtree(work / "root")
    packages[0].unlink()
    shutil.rmtree(cache, ignore_errors=True)
    work.rename(cache)
    return cache
