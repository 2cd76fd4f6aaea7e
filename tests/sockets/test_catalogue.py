"""The catalogue of runtime sockets, by addresses.tsv: address (`\\n` is a newline), runtime and name, `-` for none."""

from __future__ import annotations

import csv
import re
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from sockwarden.sockets import Catalogue, RuntimeSocket, packaged, piece_of

TABLE = Path(__file__).parent / "addresses.tsv"
ROWS = list(csv.DictReader(TABLE.read_text(encoding="utf-8").splitlines(), delimiter="\t"))


def look_up(catalogue: Catalogue, address: str) -> RuntimeSocket | None:
    host, colon, port = address.rpartition(":")
    if host and colon and port.isdigit() and "/" not in address:
        return catalogue.port(address, int(port))
    return catalogue.abstract(address[1:]) if address.startswith("@") else catalogue.path(address)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["address"])
def test_address(row: dict[str, str]) -> None:
    address = row["address"].replace("\\n", "\n")
    expected = None if row["runtime"] == "-" else RuntimeSocket(address, row["runtime"], row["name"])
    assert look_up(packaged(), address) == expected


def test_every_entry_of_the_catalogue_has_a_row() -> None:
    """Each glob, each name and each port: an entry that no row matches could be wrong unseen."""
    data = resources.files("sockwarden.content").joinpath("catalogue.toml").read_bytes()
    found = [row["address"].replace("\\n", "\n") for row in ROWS if row["runtime"] != "-"]
    for entry in msgspec.toml.decode(data)["socket"]:
        for form in ("path", "abstract", "port"):
            for one in entry.get(form, []):
                parts = [re.escape(part) for part in str(one).split("*")]
                pattern = {"path": "[^/]*", "abstract": ".*", "port": ""}[form].join(parts)
                prefix = {"path": "", "abstract": "@", "port": ".+:"}[form]
                assert any(re.fullmatch(prefix + pattern, address, re.DOTALL) for address in found), one


@pytest.mark.parametrize(
    ("address", "piece"),
    [
        ("/run/docker.sock", "docker.sock"),
        ("/run/user/*/docker.sock", "docker.sock"),
        ("/run/containerd/s/*", "containerd"),
        ("/run/docker/plugins/*.sock", "plugins"),
        ("docker.sock", "docker.sock"),
        ("/", ""),
        ("*", ""),
        ("", ""),
    ],
)
def test_piece_of(address: str, piece: str) -> None:
    assert piece_of(address) == piece


def test_what_the_catalogue_wants_is_in_every_address() -> None:
    wanted = packaged().wanted
    assert not wanted.everything and "" not in wanted.addresses
    for row in ROWS:
        if row["runtime"] != "-":
            port = row["address"].rpartition(":")[2]
            assert any(piece in row["address"] for piece in wanted.addresses) or int(port) in wanted.ports
