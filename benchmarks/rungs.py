"""What each rung of the eBPF sensor costs others on Debian's stock kernel, in instructions.

    python benchmarks/rungs.py

The machine is QEMU's, which counts: with `-icount shift=0` its clock moves by 1 ns with each instruction, the kernel's
and the programs', so that the time of a loop there is what was carried out, and comes out the same each time but for
the timer's interrupts. Measured is the loop of benchmarks/ebpf.py: a call that no sensor asks for, a read, an open, a
connect to a local socket that is left alone, and one to a TCP port; beside the rungs under programs that do nothing at
each call's two ends, which is the kernel's own part of that price. How long an instruction takes a real processor is
not measured. Needs QEMU, clang-14, gcc, and the kernel's package.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from results import Cell, Table, arguments, finish, unable

TESTS = Path(__file__).resolve().parents[1] / "tests/host"
sys.path.append(str(TESTS))

from ebpf import compiled_loop, empty_programs  # noqa: E402 - as the next
from guest import Guest, fetched_kernel  # noqa: E402 - of the tests

_TIMES = {"getppid": 2000, "read": 2000, "open": 1000, "connect, unrelated": 500, "tcp": 100}


def tools(*names: str) -> list[str]:
    found = [shutil.which(name) for name in names]
    if missing := [name for name, path in zip(names, found, strict=True) if path is None]:
        unable(f"{' and '.join(missing)} not found")
    return [path for path in found if path]


def counted(quick: bool, libbpf: Path) -> dict[str, dict[str, float]]:
    """Instructions of each workload, by rung."""
    apt, depends, qemu, busybox, *_ = tools("apt-get", "apt-cache", "qemu-system-x86_64", "busybox", "gcc", "clang-14")
    kernel = fetched_kernel(apt, depends)
    if isinstance(kernel, str):
        unable(kernel)
    times = {what: often // 5 for what, often in _TIMES.items()} if quick else _TIMES
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as name:
        folder = Path(name)
        guest = Guest(kernel, folder, qemu, Path(busybox))
        output = guest.boot(
            f"python3 /inside.py '{json.dumps(times)}'",
            programs=[libbpf],
            files={
                "/inside.py": TESTS / "cost_in_guest.py",
                "/bin/loop": compiled_loop(folder),
                "/empty.o": empty_programs(folder),
            },
            cmdline="lsm=lockdown,capability,bpf",
            machine=("-icount", "shift=0,sleep=off"),
            seconds=280,
        )
    if output.status:
        raise SystemExit(output.console[-2000:])
    found: dict[str, dict[str, float]] = {}
    for line in output.after("COST"):
        rung, what, cost = json.loads(line)
        found.setdefault(rung, {})[what] = cost
    return found


def report(found: dict[str, dict[str, float]]) -> tuple[list[Table], dict[str, str]]:
    base = found["none"]

    def more(rung: str, what: str) -> int:
        return round(found[rung][what] - base[what])

    rows: list[list[Cell]] = [["none: all", *(round(base[what]) for what in _TIMES)]]
    rows += [[f"{rung}: more", *(more(rung, what) for what in _TIMES)] for rung in found if rung != "none"]
    table = Table("instructions", "Instructions of one call, by rung", ["rung", *_TIMES], rows)
    figures = {f"{rung}-connect": f"{more(rung, 'connect, unrelated'):,}" for rung in found if rung != "none"}
    return [table], figures


def main() -> None:
    options = arguments(__doc__).parse_args()
    library = [Path(place, "libbpf.so.1") for place in ("/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib")]
    if not (there := [file for file in library if file.exists()]):
        unable("libbpf.so.1 is not installed")
    tables, figures = report(counted(options.quick, there[0]))
    finish(options, tables, figures=figures)


if __name__ == "__main__":
    main()
