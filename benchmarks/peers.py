"""Other tools that are asked what a hunt is asked: which connects in an audit log went to a runtime's socket.

    python benchmarks/peers.py LOG

prints each one's command and how many lines it answers with, one a connect. `make peers` obtains what is missing, at
the versions in make/peers.sh. None says which socket a name really reached, or knows a published rule's exceptions.
Those that put events together miss connects by i386's socketcall and io_uring; those that look for bytes (ripgrep,
grep) tell the line of a record, and not who it was nor whether it was a connect.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

from results import ROOT

from sockwarden.sockets import packaged

BUILT = ROOT / ".peers"
_OURS = ROOT / "benchmarks" / "peers"
_NEEDLES = [f"-e{path.encode().hex().upper()}" for path in ("docker.sock", "containerd.sock")]
_PIECES = sorted(packaged().wanted.addresses)
_ALL = [f"-e{text}" for piece in _PIECES for text in (piece, piece.encode().hex().upper())]
"""All that a hunt with the packaged rules looks for in an address, plain as a name has it and in hex."""
FORMS = ("raw", "enriched")


def commands(log: Path, form: str) -> dict[str, list[str]]:
    """What to run, by names for tables; each prints a line for each connect. ValueError for another form than FORMS.

    None of them needs another command for an enriched log.
    """
    if form not in FORMS:
        raise ValueError(f"a log is of the form {' or '.join(FORMS)}, not {form}")
    ausearch = ["ausearch", "--input", str(log), "--syscall", "connect"]
    addresses = ["grep", "-F", "type=SOCKADDR"]
    return {
        "ausearch --raw, grep": _piped([*ausearch, "--raw"], addresses, ["grep", "-F", *_NEEDLES]),
        "ausearch --interpret, grep": _piped(
            [*ausearch, "--interpret"], ["grep", "-E", r"^type=SOCKADDR .*(docker|containerd)\.sock "]
        ),
        "libauparse, by a program in C": [str(BUILT / "auparse"), str(log)],
        "go-libaudit, by a program in Go": [str(BUILT / "golibaudit"), str(log)],
        "laurel, jq": _piped(
            ["cat", str(log)],
            [str(BUILT / "laurel"), "--config", str(_OURS / "laurel.toml")],
            ["jq", "--raw-input", "--compact-output", "--from-file", str(_OURS / "connects.jq")],
        ),
        "ripgrep, two needles in hex": _piped(["rg", "--no-config", "--text", "-F", *_NEEDLES, str(log)], addresses),
        "grep -F, two needles in hex": _piped(["grep", "-F", *_NEEDLES, str(log)], addresses),
        "grep -F, the hunt's own literals": _piped(["grep", "-F", *_ALL, str(log)], addresses),
    }


def _piped(*commands: list[str]) -> list[str]:
    return ["sh", "-c", " | ".join(map(shlex.join, commands))]


def missing(command: list[str]) -> list[str]:
    """The programs of a command that this machine lacks."""
    words = ["|", *(shlex.split(command[2]) if command[:2] == ["sh", "-c"] else [command[0]])]
    programs = [word for before, word in pairwise(words) if before == "|"]
    return [program for program in programs if not shutil.which(program)]


def obtained(log: Path, form: str) -> tuple[dict[str, list[str]], list[str]]:
    """The commands that can be run here, and why each other cannot."""
    every = commands(log, form)
    lacking = {name: absent for name, command in every.items() if (absent := missing(command))}
    return (
        {name: command for name, command in every.items() if name not in lacking},
        [f"{name}: {', '.join(Path(each).name for each in absent)} is not here" for name, absent in lacking.items()],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("--form", choices=FORMS, default="enriched")
    given = parser.parse_args()
    runnable, lacking = obtained(given.log, given.form)
    for name, command in runnable.items():
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
        print(f"{ran.stdout.count(10):>8,}  {name}\n          {shlex.join(command)}")
    for line in lacking:
        print(f"left out  {line}")


if __name__ == "__main__":
    main()
