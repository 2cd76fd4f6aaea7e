"""`make install` and `make uninstall`, for a package and for this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.host

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "src" / "sockwarden" / "content" / "sockwarden.service"


@pytest.fixture
def script(require: Callable[..., str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs make/install.sh or make/uninstall.sh as the Makefile does, with variables."""
    own = ROOT / ".uv" / "bin" / "uv"  # where make puts it when the machine has none
    uv = str(own) if own.exists() else require("uv")
    if subprocess.run([sys.executable, "-c", "import hatchling"], check=False, capture_output=True).returncode:
        pytest.skip("this environment has no hatchling: run by make test")

    def run(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
        arguments = [sys.executable, uv] if name == "install" else []
        kept = {key: value for key, value in os.environ.items() if key not in ("PURGE", "PREFIX", "PYTHON", "BINDIR")}
        return subprocess.run(
            ["sh", str(ROOT / "make" / f"{name}.sh"), *arguments],
            cwd=ROOT,
            env=kept | variables,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return run


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() or path.is_symlink())


Script = Callable[..., subprocess.CompletedProcess[str]]


def test_a_package(script: Script, tmp_path: Path) -> None:
    """Built below DESTDIR, it works wherever it is then put: PREFIX stands in link and unit, DESTDIR nowhere."""
    result = script("install", DESTDIR=str(tmp_path), PREFIX="/opt/sw")
    assert result.returncode == 0, result.stderr
    link, unit = tmp_path / "usr/local/bin/sockwarden", tmp_path / "etc/systemd/system/sockwarden.service"
    assert str(link.readlink()) == "/opt/sw/bin/sockwarden"
    assert "ExecStart=/opt/sw/bin/sockwarden watch" in unit.read_text()
    assert (unit.stat().st_mode & 0o777, unit.read_text().count(str(tmp_path))) == (0o644, 0)
    moved = tmp_path / "moved"
    (tmp_path / "opt" / "sw").rename(moved)
    told = subprocess.run([moved / "bin" / "sockwarden", "rules", "list"], capture_output=True, text=True, check=True)
    assert "unusual-process-runtime-socket-access" in told.stdout
    writable = [path for path in moved.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022]
    assert not writable, "root will run this"
    assert not list(moved.rglob("*.pth")) or not any(str(ROOT) in file.read_text() for file in moved.rglob("*.pth"))


def test_again_and_away(script: Script, tmp_path: Path) -> None:
    place = {"DESTDIR": str(tmp_path)}
    assert script("install", **place).returncode == 0
    config = tmp_path / "etc/sockwarden/config.toml"
    config.write_text("# mine\n")
    before = files_below(tmp_path)
    again = script("install", **place)
    assert again.returncode == 0 and f"{config} kept as it is" in again.stdout
    assert config.read_text() == "# mine\n"
    assert files_below(tmp_path) == before
    state = tmp_path / "var/lib/sockwarden"
    state.mkdir(parents=True)
    gone = script("uninstall", **place)
    assert gone.returncode == 0 and f"kept {state}" in gone.stdout
    assert files_below(tmp_path) == ["etc/sockwarden/config.toml"]
    purged = script("uninstall", PURGE="1", **place)
    assert purged.returncode == 0 and not files_below(tmp_path) and not state.exists()
    assert "nothing of sockwarden is installed" in script("uninstall", **place).stdout


def test_what_is_not_ours_is_left_alone(script: Script, tmp_path: Path) -> None:
    other = tmp_path / "opt/other"
    other.mkdir(parents=True)
    (other / "precious").write_text("")
    link = tmp_path / "usr/local/bin/sockwarden"
    link.parent.mkdir(parents=True)
    link.symlink_to("/somewhere/else")
    for name in ("install", "uninstall"):
        result = script(name, DESTDIR=str(tmp_path), PREFIX="/opt/other")
        assert result.returncode == 1 and str(other) in result.stderr
        assert (other / "precious").exists()
    assert script("uninstall", DESTDIR=str(tmp_path)).returncode == 0
    assert str(link.readlink()) == "/somewhere/else"


@pytest.mark.parametrize("value", ["relative", "/opt/a b", "/opt/a;id", "/opt/$(id)"])
def test_a_prefix_that_would_break_the_unit_is_refused(value: str, script: Script, tmp_path: Path) -> None:
    result = script("install", DESTDIR=str(tmp_path), PREFIX=value)
    assert result.returncode == 1 and value in result.stderr
    assert not files_below(tmp_path)


def test_an_interpreter_that_is_too_old_or_a_users_own_is_refused(script: Script, tmp_path: Path) -> None:
    own = tmp_path / "python"
    shutil.copy(Path(sys.executable).resolve(), own)
    for python in ("/bin/false", str(own)):
        result = script("install", DESTDIR=str(tmp_path), PYTHON=python)
        assert result.returncode == 1 and "PYTHON=" in result.stderr


def test_systemd_takes_the_unit(require: Callable[..., str], tmp_path: Path) -> None:
    analyze = require("systemd-analyze")
    unit = tmp_path / "sockwarden.service"
    unit.write_text(re.sub(r"(?m)^ExecStart=.*", "ExecStart=/bin/true", UNIT.read_text()))
    result = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")


def test_this_machine(script: Script, require: Callable[..., str], tmp_path: Path) -> None:
    """For real: the program on everybody's PATH. Without systemd as the first process nothing is started."""
    require("sh", root=True)
    paths = [Path("/opt/sockwarden"), Path("/usr/local/bin/sockwarden"), Path("/etc/sockwarden")]
    paths += [Path("/etc/systemd/system/sockwarden.service"), Path("/var/lib/sockwarden")]
    if any(path.exists() for path in paths) or Path("/run/systemd/system").is_dir():
        pytest.skip("sockwarden is installed here, or systemd would start it")
    try:
        installed = script("install")
        assert installed.returncode == 0, installed.stderr
        assert "sockwarden watch" in installed.stdout
        told = subprocess.run(["/usr/local/bin/sockwarden", "--version"], capture_output=True, check=True, cwd=tmp_path)
        assert told.stdout.startswith(b"sockwarden")
    finally:
        purged = script("uninstall", PURGE="1")
    assert purged.returncode == 0, purged.stderr
    assert not any(path.exists() for path in paths)
