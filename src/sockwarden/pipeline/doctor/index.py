"""Whether what lies in a cluster is enough for the rules: the confirm step that published rules ask of a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sockwarden.cluster.client import Client
from sockwarden.cluster.indices import Capabilities, capabilities, index_path
from sockwarden.errors import InputError
from sockwarden.pipeline import index_templates
from sockwarden.pipeline.doctor.finding import Finding

MOST_HOSTS = 50
_DAY = 86_400_000
_SEEN_MS = 7 * _DAY
"""How long a host that has fallen silent is still shown."""
_STALE_MS = 15 * 60_000
_NAMES = (
    "host.name",
    "host.name.keyword",
    "host.hostname",
    "host.hostname.keyword",
    "agent.name",
    "agent.name.keyword",
)
_FIELDS = ("process.executable", "destination.address", "destination.path", "host.os.type")
_SETUP = "See `sockwarden setup audit print --for auditd-manager` (or auditbeat)."


def examine_index(client: Client, patterns: Iterable[str], now_ms: int) -> Iterator[Finding]:
    """Findings on the cluster, on each index pattern and on each of its hosts, the busiest MOST_HOSTS.

    now_ms: the time, in milliseconds since the epoch
    """
    try:
        info = client.info()
    except InputError as error:
        yield _failed("cluster", error)
        return
    yield Finding("cluster", "ok", f"{client.url}: {info.distribution} {info.version}, {info.name}")
    for pattern in patterns:
        try:
            yield from _pattern(client, pattern, now_ms)
        except InputError as error:
            yield _failed(f"index {pattern}", error)


def templates(client: Client) -> Iterator[Finding]:
    """Whether the templates for what sockwarden writes are in place."""
    try:
        states = index_templates.states(client)
    except InputError as error:
        yield _failed("index templates", error)
        return
    wrong = [f"{path.rpartition('/')[2]} is {state}" for path, state in states.items() if state != "unchanged"]
    if wrong:
        told = ", ".join(wrong) + ": texts would be analysed, and not found by their whole value"
        yield Finding("index templates", "warn", told, "sockwarden setup index apply")
    else:
        yield Finding("index templates", "ok", "in place")


def _failed(name: str, error: InputError) -> Finding:
    return Finding(name, "fail", ": ".join(filter(None, (error.what, error.where, error.why))), error.todo)


def _pattern(client: Client, pattern: str, now_ms: int) -> Iterator[Finding]:
    name = f"index {pattern}"
    known = capabilities(client, (pattern,), (*_NAMES, *_FIELDS))
    if not known.indices:
        yield Finding(
            name, "warn", "no index matches it", "Ship events there; or nothing, where no rule is to look at them."
        )
        return
    by = _host_field(known)
    if by is None:
        yield Finding(
            name, "fail", "no field that names hosts is a keyword in all of its indices", f"Map {_NAMES[0]} so."
        )
        return
    answer = client.json("POST", f"{index_path((pattern,))}/_search", _search(by, now_ms), params=_PARAMS)
    failed = (answer.get("_shards") or {}).get("failed")
    found = (answer.get("aggregations") or {}).get("hosts") or {}
    hosts = found.get("buckets") or []
    if failed:
        yield Finding(name, "warn", f"{failed} shards failed: their documents are not counted")
    if not hosts:
        yield Finding(name, "fail", f"{len(known.indices)} indices, and no document of the last 7 days", _SETUP)
        return
    if more := int(found.get("sum_other_doc_count") or 0):
        yield Finding(name, "ok", f"the {len(hosts)} busiest hosts; {more:,} documents are of others")
    for host in sorted(hosts, key=lambda host: str(host["key"])):
        yield _host(f"{pattern} {host['key']}", host, now_ms)


_PARAMS = {"ignore_unavailable": "true", "allow_no_indices": "true"}


def _host_field(known: Capabilities) -> str | None:
    return next((name for name in _NAMES if set(known.types.get(name, ())) == {"keyword"}), None)


def _search(by: str, now_ms: int) -> dict[str, Any]:
    """Counts by host: its newest event of a week, and of the last day what its connect events carry."""

    def since(milliseconds: int) -> dict[str, Any]:
        return {"range": {"@timestamp": {"gte": now_ms - milliseconds, "format": "epoch_millis"}}}

    carried = {field: {"filter": {"exists": {"field": field}}} for field in _FIELDS}
    connects = {
        "bool": {
            "should": [
                {"match_phrase": {"event.action": "connected-to"}},
                {"match_phrase": {"event.category": "network"}},
            ],
            "minimum_should_match": 1,
        }
    }
    of_day = {"connects": {"filter": connects, "aggs": carried}, "host.os.type": carried["host.os.type"]}
    per_host = {"newest": {"max": {"field": "@timestamp"}}, "day": {"filter": since(_DAY), "aggs": of_day}}
    hosts = {"terms": {"field": by, "size": MOST_HOSTS}, "aggs": per_host}
    return {"size": 0, "track_total_hits": False, "query": since(_SEEN_MS), "aggs": {"hosts": hosts}}


def _host(name: str, host: dict[str, Any], now_ms: int) -> Finding:
    newest = (host.get("newest") or {}).get("value")
    age = now_ms - int(newest) if newest is not None else _SEEN_MS
    day = host["day"]
    connects, total = day["connects"]["doc_count"], day["doc_count"]
    counts = {field: day["connects"][field]["doc_count"] for field in _FIELDS}
    has_os = day["host.os.type"]["doc_count"]
    facts = f"newest event {_ago(age)}; {total:,} events in 24 h, {connects:,} of them connects"
    if not total:
        return Finding(name, "fail", facts, "Look at its shipper: nothing comes any more.")
    if not has_os:
        return Finding(
            name, "fail", f"{facts}; none has host.os.type", "Add the shipper's processor add_host_metadata."
        )
    if not connects:
        return Finding(name, "warn", f"{facts}: no access could be seen", _SETUP)
    shares = ", ".join(f"{counts[field] / connects:.0%} carry {field}" for field in _FIELDS[:2])
    facts = f"{facts}, of which {shares}"
    if not counts["destination.address"]:
        if counts["destination.path"]:
            todo = "sockwarden run --from index --map destination.address=destination.path"
            return Finding(name, "fail", f"{facts}; they have destination.path in its place", todo)
        return Finding(name, "fail", facts, _SETUP)
    if not counts["process.executable"]:
        return Finding(name, "fail", facts, "Let the shipper resolve processes; the rules tell programs by their path.")
    if age > _STALE_MS:
        return Finding(name, "warn", facts, "Look at its shipper, and at the clocks: rules look back a few minutes.")
    if has_os < total or min(counts["destination.address"], counts["process.executable"]) < connects:
        return Finding(name, "warn", facts, "An event without one of these is matched by no rule that asks for it.")
    return Finding(name, "ok", facts)


def _ago(milliseconds: int) -> str:
    if milliseconds < 0:
        return f"{-milliseconds / 1000:,.0f} s in the future"
    for size, unit in ((_DAY, "days"), (3_600_000, "h"), (60_000, "min")):
        if milliseconds >= 2 * size:
            return f"{milliseconds // size} {unit} ago"
    return f"{milliseconds // 1000} s ago"
