"""Requests by requests.jsonl, one a line: what was asked and by whom, and what is said of it.

  method, target  of HTTP; a method alone is of gRPC or ttrpc
  body            as JSON; or `raw`, text; or `proto`, a protobuf message as [[field number, value], …]: a text,
                  a number, or such a list for a message within
  type            Content-Type
  actor           of ACTORS

Rewrite what is expected with REWRITE_GOLDEN=1, and read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.requests.describe import Described, describe
from sockwarden.requests.grading import grade
from sockwarden.requests.message import Asked

TABLE = Path(__file__).parent / "requests.jsonl"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in TABLE.read_text("utf-8").splitlines()]
ACTORS: dict[str, dict[str, Any]] = {
    "host": {"origin": "host"},
    "container": {"origin": "container"},
    "unknown": {"origin": "unknown"},
    "impostor": {"origin": "host", "impersonates": "kubelet", "verified": False, "component": "kubelet"},
    "kubelet": {"origin": "host", "component": "kubelet", "verified": True},
}
SECRETS = ("seed", "hunter2", "abcdefghijkl", ":pw@")


def proto(fields: list[list[Any]]) -> bytes:
    """A protobuf message."""
    data = b""
    for number, value in fields:
        if isinstance(value, int):
            data += varint(number << 3) + varint(value)
            continue
        inner = value.encode() if isinstance(value, str) else proto(value)
        data += varint(number << 3 | 2) + varint(len(inner)) + inner
    return data


def varint(number: int) -> bytes:
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*data, number])


def asked(row: dict[str, Any]) -> Asked:
    body = json.dumps(row["body"]).encode() if "body" in row else row.get("raw", "").encode()
    body = proto(row["proto"]) if "proto" in row else body
    protocol = "http/1.1" if row.get("target") else "grpc"
    truncated = row.get("truncated", False)
    size = None if truncated else len(body)
    headers = (("user-agent", "test"), *(("content-type", kind) for kind in [row.get("type")] if kind))
    return Asked(0, protocol, row["method"], row.get("target", ""), headers, body, size, truncated)


def outcome(described: Described, actor: dict[str, Any]) -> dict[str, Any]:
    verdict = grade(msgspec.to_builtins(described), actor)
    return {
        "operation": described.operation,
        "object": described.object,
        "content": described.content,
        "risk": verdict.risk,
        "reasons": verdict.reasons,
        "summary": described.summary,
    }


def rewrite() -> None:
    """Writes the table anew with what is said now."""
    rows = [row | {"expected": outcome(describe(asked(row)), ACTORS[row["actor"]])} for row in ROWS]
    TABLE.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), "utf-8")


if "REWRITE_GOLDEN" in os.environ:
    rewrite()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['method']} {row.get('target', '')} {row['actor']}")
def test_request(row: dict[str, Any]) -> None:
    assert outcome(describe(asked(row)), ACTORS[row["actor"]]) == row["expected"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['method']} {row.get('target', '')}")
def test_no_secret_leaves(row: dict[str, Any]) -> None:
    described = msgspec.json.encode(describe(asked(row), store_bodies=True)).decode()
    assert not [secret for secret in SECRETS if secret in described]
