"""Names of users and groups from files."""

from __future__ import annotations

from pathlib import Path

from sockwarden.enrich.accounts import Accounts


def test_names_follow_the_file(tmp_path: Path) -> None:
    accounts = Accounts(tmp_path)
    assert accounts.user("0") is None
    (tmp_path / "passwd").write_text("root:x:0:0::/:/bin/sh\ntoor:x:0:0::/:\n+::::\nbroken\n", encoding="utf-8")
    (tmp_path / "group").write_text("docker:x:999:ann\n", encoding="utf-8")
    assert (accounts.user("0"), accounts.user("1"), accounts.group("999")) == ("root", None, "docker")
    (tmp_path / "passwd").write_bytes(b"\xff\xfe:x:7:\n")
    assert (accounts.user("0"), accounts.user("7")) == (None, "\\xff\\xfe")
