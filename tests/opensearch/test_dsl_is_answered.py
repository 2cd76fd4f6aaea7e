"""What `to_dsl` sends by types, the real node answers without one failed shard; the rest is refused by name."""

from __future__ import annotations

import httpx
import pytest
from node import Node

from sockwarden.kql import TypeTable, parse
from sockwarden.kql.dsl import to_dsl
from sockwarden.kql.refusal import UnsupportedError

TYPES = {
    "k": "keyword",
    "w": "wildcard",
    "by": "byte",
    "i": "integer",
    "n": "long",
    "u": "unsigned_long",
    "h": "half_float",
    "f": "float",
    "d": "double",
    "b": "boolean",
    "ip": "ip",
    "t": "date",
    "dn": "date_nanos",
    "m": "match_only_text",
    "tx": "text",
    "geo": "geo_point",
    "p": "nested",
}
DOCUMENT = {
    "k": "5",
    "w": "5",
    "by": 5,
    "i": 5,
    "n": 5,
    "u": 5,
    "h": 1.5,
    "f": 1.5,
    "d": 1.5,
    "b": True,
    "ip": "10.0.0.1",
    "t": "2026-11-15T00:00:00Z",
    "dn": "2026-11-15T00:00:00Z",
    "m": "a b",
    "tx": "a b",
    "p": [{"k": "a"}],
}
MATCHING = r"""
n:+5 n:5. n:5.0 n:5e0 n:"5" i:5 by:5 u:5 h:1.5 f:1.5 d:1.5 n<9223372036854775807 n>4.5 n<null k<null t>=null b>=true
b:true b:"true" ip:"10.0.0.0/8" ip:"::ffff:10.0.0.1" ip>"9.0.0.0" t:2026-11-15 t:"2026-11-15T00" t:1794700800000
t:"2026-11-15||/d" t<"2026-11-15T00:00:00,5Z" dn:2026-11-15 t>now-10y tx:a m:a* m>a p:{k:a} p:{k:*} p*:a k:* w:* *:5
*:"10.0.0.1" "b" 10.0.0.1 k*:5 tx:"a\u0020b" m:"a\u0020b" "b"
""".split()  # noqa: SIM905 - a table, quotes and all
OTHERS = r"""
n:.5 n:5.5 n:9223372036854775808 n>1e30 i:2147483648 i>2147483648 by:200 by:127 u:18446744073709551615 u>-1 h:70000
f:1e39 f>1e39 d:1e400 d>1e400 n:abc n:true n:null k:null n:5*x n>a b:x b:True b:"" b:t* ip:x ip:10.0.0.0/33
ip>10.0.0.0/8 ip:10* ip:"::ffff:10.0.0.0/104" ip:"fe80::1%1" ip:010.0.0.1 t:5 t:x t:2026* t>now-1 t>now+d t>"now/q"
t:"2026-13-01" t:"2026-11-15T00:00:00+0100" t:"2026-11-15T00:00:00+01" t:"2026-02-30" t:"2026-11-15T25:00" tx:"" m:""
k:"" geo:* geo:x geo>1 p:a p:* p.k:a k:{k:a} zz:a zz:a* zz:* zz>5 zz*:x zz:null zz:{a:b} null *:nothing t:20261115
t:99999 t:+002026 t>"2026-11-15||" t>"||/d" t>now/d/d t>now-1d+1h/w t>now+99999999y t:9999999999999999 n:1e400 n:0x10
n:1_000 n:NaN tx:"b\u0020a" t:"\u00202026" t:2026 t:2026-11
""".split()  # noqa: SIM905 - a table, quotes and all
TEXT = "".join(f"/dir-{number:x}" for number in range(110))
LONG = [
    f"k:{'x' * 40_000}",
    f"k:*{TEXT}",
    f"k:*{'x' * 40_000}",
    f"zz:*{'x' * 40_000}",
    f"tx:{'y ' * 900}",
    f"w:*{TEXT}*{TEXT[:20]}",
]


@pytest.fixture(scope="module")
def http(node: Node) -> httpx.Client:
    properties = {name: {"type": kind} for name, kind in TYPES.items()}
    properties["p"] = {"type": "nested", "properties": {"k": {"type": "keyword"}}}  # type: ignore[dict-item]
    node.http.put("/typed", json={"mappings": {"properties": properties}}).raise_for_status()
    node.http.put("/typed/_doc/1?refresh=true", json=DOCUMENT).raise_for_status()
    return node.http


def answer(http: httpx.Client, query: str) -> bool:
    dsl = to_dsl(parse(query), TypeTable({**TYPES, "p.k": "keyword"}))
    response = http.post("/typed/_search", json={"query": dsl}).json()
    assert "error" not in response, response["error"]["root_cause"]
    assert response["_shards"]["failed"] == 0
    return bool(response["hits"]["total"]["value"])


@pytest.mark.parametrize("query", MATCHING)
def test_it_is_found(http: httpx.Client, query: str) -> None:
    assert answer(http, query)


@pytest.mark.parametrize("query", [*OTHERS, *LONG], ids=lambda query: query[:30])
def test_it_is_answered_or_refused(http: httpx.Client, query: str) -> None:
    try:
        answer(http, query)
    except UnsupportedError as refusal:
        assert refusal.construct
        assert refusal.why
