"""Peers are asked the same, so those that are here answer the same."""

import subprocess
from pathlib import Path

import pytest
from peers import FORMS, commands, missing, obtained

_CAPTURES = Path(__file__).parents[1] / "data" / "captures"
_LOGS = {"raw": _CAPTURES / "inode-rules.audit.log", "enriched": _CAPTURES / "inode-rules-enriched.audit.log"}
_BY_BYTES = ("ripgrep", "grep")


@pytest.mark.parametrize("form", FORMS)
def test_those_that_are_here_agree(form: str) -> None:
    """Those that put events together on the connects, and those that look for bytes on the lines."""
    runnable, lacking = obtained(_LOGS[form], form)
    counts = {
        name: subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False).stdout.count(b"\n")
        for name, command in runnable.items()
    }
    lines = {count for name, count in counts.items() if name.startswith(_BY_BYTES)}
    connects = {count for name, count in counts.items() if not name.startswith(_BY_BYTES)}
    assert len(lines) == 1 and len(connects) <= 1, (counts, lacking)
    assert min(connects | lines) > 0 and max(connects, default=1) < min(lines), counts


def test_another_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="raw or enriched, not gzip"):
        commands(Path("audit.log"), "gzip")


def test_what_a_command_lacks_is_named_wherever_in_a_pipe_it_stands() -> None:
    assert missing(["sh", "-c", "cat 'a b | c' | no-such-filter -x | sort"]) == ["no-such-filter"]
    assert missing(["no-such-program", "cat"]) == ["no-such-program"]
    assert missing(["cat", "no-such-program"]) == []


def test_a_peer_that_is_not_here_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("peers.BUILT", tmp_path)
    runnable, lacking = obtained(Path("audit.log"), "raw")
    assert "laurel, jq: laurel is not here" in lacking
    assert not any("laurel" in name for name in runnable)
    assert "grep -F, two needles in hex" in runnable
