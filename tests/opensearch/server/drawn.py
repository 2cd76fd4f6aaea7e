"""Random queries and documents over ECS fields: values drawn from so few that many match, and every odd one in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from sockwarden.kql import (
    ECS,
    MATCH_ALL,
    NO_FIELD,
    And,
    Constant,
    Is,
    Literal,
    Nested,
    Node,
    Not,
    Or,
    Range,
    Text,
    TypeTable,
    Wildcard,
)

FIELDS = (
    "@timestamp",
    "event.created",
    "event.action",
    "event.severity",
    "event.risk_score",
    "process.executable",
    "process.executable.text",
    "process.name",
    "process.name.text",
    "process.args",
    "process.command_line",
    "process.command_line.text",
    "process.pid",
    "process.code_signature.trusted",
    "http.response.status_code",
    "source.ip",
    "host.ip",
    "message",
    "url.original",
    "tags",
    "gen_ai.request.temperature",
    "gen_ai.request.seed",
    "host.cpu.usage",
    "log.syslog.structured_data",
    "source.geo.location",
    "data_stream.type",
    "process.elf.sections",
    "process.elf.sections.name",
    "process.elf.sections.physical_size",
    "threat.enrichments",
    "threat.enrichments.indicator.ip",
    "threat.enrichments.indicator.type",
)
TYPES = TypeTable({field: kind for field in FIELDS if (kind := ECS.type_of(field))})
UNKNOWN = ("x_custom", "x_deep.er.field", "process.x_new")
NESTED = {"process.elf.sections": ("name", "physical_size"), "threat.enrichments": ("indicator.ip", "indicator.type")}

TEXTS = [
    "curl",
    "Curl",
    "/usr/bin/curl",
    "/usr/bin/cu\nrl",
    "a b",
    "",
    "é\U0001f600",
    "a*b",
    "a?b",
    "a\\b",
    "5",
    "true",
]
TEXTS += ["null", "x:y", "(a)"]
PLAIN = [text for text in TEXTS if text and not set("*?\\") & set(text)]
"""What fields of type `wildcard` are asked for: OpenSearch 2.19 takes `*` and `?` of a `match` there for wildcards,
loses escaped characters and does not find "", all unlike Elasticsearch. Documents hold the odd texts all the same.
"""
SENTENCES = ["no such file", "No such FILE: curl", "curl failed", "connection refused by curl", ""]
ADDRESSES = ["10.0.0.1", "10.1.2.3", "192.168.1.9", "::1", "fe80::1:2", "2001:db8::7"]
NUMBERS = [-1, 0, 1, 5, 7, 80, 443, 2**40]
FRACTIONS = [-0.5, 0, 0.25, 1.5, 21, 73.5]
HOURS = [-49, -30, -25, -3, -1, 1, 30]

_UNORDERED = ("boolean", "match_only_text", "flattened", "geo_point", "wildcard")
"""Types that are not asked for ranges; of `wildcard` Elasticsearch answers them, OpenSearch does not."""


class Drawn:
    """A source of them; the same seed and moment give the same."""

    def __init__(self, seed: int, now: float) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a repeatable one
        self.dates = [_iso(now + hours * 3600 - 1800) for hours in HOURS]
        self.now = now

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"data_stream": {"type": "logs"}}
        for field in (*FIELDS, *UNKNOWN):
            kind = TYPES.type_of(field)
            if kind in ("nested", "constant_keyword") or field.endswith(".text") or self._below_nested(field):
                continue
            if self.random.random() < 0.6:
                self._put(document, field, self._several(kind))
        for path, names in NESTED.items():
            if self.random.random() < 0.7:
                objects = [self._object(path, names) for _ in range(self.random.randrange(3))]
                self._put(document, path, objects[0] if len(objects) == 1 and self.random.random() < 0.5 else objects)
        return document

    def query(self) -> Node:
        return MATCH_ALL if self.random.random() < 0.01 else self._node(self.random.choice([0, 1, 2, 2, 3]), "")

    def _object(self, path: str, names: tuple[str, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in names:
            if self.random.random() < 0.8:
                self._put(found, name, self._several(TYPES.type_of(f"{path}.{name}")))
        return found

    def _put(self, document: dict[str, Any], field: str, value: Any) -> None:
        """Below objects, mostly; now and then below an array of them."""
        first, _, rest = field.partition(".")
        if not rest:
            document[first] = value
            return
        child = document.setdefault(first, [{}] if self.random.random() < 0.15 else {})
        if isinstance(child, list):
            if self.random.random() < 0.3:
                child.append({})
            child = self.random.choice(child)
        self._put(child, rest, value)

    def _several(self, kind: str | None) -> Any:
        luck = self.random.random()
        if luck < 0.08:
            return self.random.choice([None, [], None if kind == "geo_point" else [None]])  # an index refuses that one
        if luck < 0.35:
            return [self._stored(kind) for _ in range(self.random.randrange(1, 4))]
        return self._stored(kind)

    def _stored(self, kind: str | None) -> Any:
        choice = self.random.choice
        match kind:
            case "keyword" | "wildcard":
                return choice([*TEXTS, *TEXTS, 5, True])
            case "match_only_text":
                return choice(SENTENCES)
            case "long" | "integer":
                number = choice(NUMBERS if kind == "long" else NUMBERS[:-1])
                return choice([number, number, str(number)])
            case "float" | "double" | "scaled_float":
                fraction = choice(FRACTIONS)
                return choice([fraction, fraction, str(fraction)])
            case "boolean":
                return choice([True, False, "true", "false"])
            case "ip":
                return choice(ADDRESSES)
            case "date":
                return choice(self.dates)
            case "flattened":
                return {"key": choice(TEXTS)}
            case "geo_point":
                return {"lat": 48.1, "lon": 11.6}
        return choice(TEXTS)  # one kind for each unknown field: an index takes the first that it sees

    def _node(self, depth: int, path: str) -> Node:
        if depth == 0 or self.random.random() < 0.2:
            return self._leaf(path)
        kind = self.random.choice(["and", "or", "or", "not", "group", "nested"])
        if kind == "nested" and not path:
            inside = self.random.choice([*NESTED])
            return Nested(Text(inside), self._node(depth - 1, inside))
        if kind == "not":
            return Not(self._node(depth - 1, path))
        count = self.random.choice([2, 2, 3])
        if kind == "group":
            field = self.random.choice(self._names(path))
            return Or(tuple(self._is(Text(field), self._full(path, field)) for _ in range(count)))
        children = tuple(self._node(depth - 1, path) for _ in range(count))
        return And(children) if kind == "and" else Or(children)

    def _names(self, path: str) -> list[str]:
        if path:
            return list(NESTED[path])
        return [field for field in (*FIELDS, *UNKNOWN) if not self._below_nested(field) and field not in NESTED]

    def _leaf(self, path: str) -> Node:
        luck = self.random.random()
        if luck < 0.05 and not path:
            return Is(NO_FIELD, self._fieldless())
        if luck < 0.12 and not path:
            pieces = self.random.choice([("process.", ""), ("", ".ip"), ("event.", ""), ("x_", ""), ("", "name")])
            sample = self.random.choice(["source.ip", "process.name", "event.severity", "process.pid", "@timestamp"])
            return self._is(Wildcard(pieces), sample)
        field = self.random.choice(self._names(path))
        full = self._full(path, field)
        kind = TYPES.type_of(full)
        if luck < 0.3 and kind not in (*_UNORDERED, None):
            operator = self.random.choice(["lt", "lte", "gt", "gte"])
            return Range(Text(field), operator, self._asked(kind))  # type: ignore[arg-type]
        return self._is(Text(field), full)

    def _is(self, field: Literal, full: str) -> Is:
        if self.random.random() < 0.15:
            return Is(field, Wildcard(("", "")))
        kind = TYPES.type_of(full)
        if kind in ("flattened", "geo_point", "object"):
            return Is(field, Wildcard(("", "")))
        if kind in ("keyword", "wildcard", "constant_keyword") and self.random.random() < 0.4:
            return Is(field, self._wildcard(PLAIN if kind == "wildcard" else TEXTS))
        return Is(field, self._cidr() if kind == "ip" and self.random.random() < 0.4 else self._asked(kind))

    def _fieldless(self) -> Literal:
        values: list[Literal] = [Text("curl"), Text("curl", quoted=True), Text("5"), Text("10.0.0.1"), Constant(True)]
        return self.random.choice([*values, Wildcard(("", ""))])

    def _asked(self, kind: str | None) -> Literal:
        choice = self.random.choice
        quoted = self.random.random() < 0.5
        match kind:
            case "match_only_text":
                return Text(choice(["curl", "no such", "FILE curl", "such file", "missing"]), quoted)
            case "long" | "integer":
                return Text(choice([str(choice(NUMBERS[:-1])), "5.0", "6.5"]), quoted)
            case "float" | "double" | "scaled_float":
                return Text(str(choice(FRACTIONS)), quoted)
            case "boolean":
                return Text("true", quoted) if quoted else Constant(choice([True, False]))
            case "ip":
                return Text(choice(ADDRESSES), quoted)
            case "date":
                return Text(choice([*self.dates, *(date[:10] for date in self.dates), *self._math()]), quoted)
            case "constant_keyword":
                return Text(choice(["logs", "metrics"]), quoted)
        text = choice(PLAIN if kind == "wildcard" else TEXTS)
        return Text(text, quoted=True) if quoted else _unquoted(text)

    def _math(self) -> list[str]:
        day = self.dates[2][:10]
        return ["now", "now-1d", "now-1d/d", "now/d", "now-26h", "now+1w/w", f"{day}||+1d/d", f"{day}||/M"]

    def _cidr(self) -> Literal:
        return Text(
            self.random.choice(["10.0.0.0/8", "10.1.0.0/16", "::/0", "fe80::/10", "192.168.1.9/32"]), quoted=True
        )

    def _wildcard(self, texts: list[str]) -> Wildcard:
        text = self.random.choice([text for text in texts if text])
        cut = self.random.randrange(len(text) + 1)
        pieces = self.random.choice([(text[:cut], ""), ("", text[cut:]), (text[:cut], text[cut:]), ("", text, "")])
        return Wildcard((pieces[0].lstrip(), *pieces[1:-1], pieces[-1].rstrip()))

    @staticmethod
    def _below_nested(field: str) -> bool:
        return any(field.startswith(f"{path}.") for path in NESTED)

    @staticmethod
    def _full(path: str, field: str) -> str:
        return f"{path}.{field}" if path else field


def _unquoted(text: str) -> Literal:
    constants: dict[str, Literal] = {"null": Constant(None), "true": Constant(True), "": Text("", quoted=True)}
    return constants.get(text) or Text(text)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def kinds(node: Node) -> Iterator[str]:
    """What a tree is made of, as names."""
    nodes = [node]
    while nodes:
        asked = nodes.pop()
        yield type(asked).__name__.lower()
        match asked:
            case And(children) | Or(children):
                nodes.extend(children)
            case Not(child) | Nested(_, child):
                nodes.append(child)
            case Is(field, value):
                yield "fieldless" if field == NO_FIELD else "field pattern" if isinstance(field, Wildcard) else "field"
                lone = isinstance(value, Wildcard) and value.is_lone
                yield "exists" if lone else type(value).__name__.lower()


def mapping() -> dict[str, Any]:
    """The index's mapping of FIELDS, and of what else comes as ECS's templates have it: texts as keywords."""
    properties: dict[str, Any] = {}
    for field in sorted(FIELDS, key=lambda field: field.count(".")):
        _map(properties, field, TYPES.type_of(field) or "keyword")
    text_as_keyword = {"text": {"match_mapping_type": "string", "mapping": {"type": "keyword"}}}
    return {"date_detection": False, "dynamic_templates": [text_as_keyword], "properties": properties}


def _map(properties: dict[str, Any], field: str, kind: str) -> None:
    *parents, last = field.split(".")
    for depth, parent in enumerate(parents):
        entry = properties.setdefault(parent, {})
        shelf = (
            "fields" if "type" in entry and entry["type"] != "nested" and depth == len(parents) - 1 else "properties"
        )
        properties = entry.setdefault(shelf, {})
    known = {
        "flattened": {"type": "flat_object"},
        "scaled_float": {"type": "scaled_float", "scaling_factor": 1000},
        "constant_keyword": {"type": "constant_keyword", "value": "logs"},
    }
    properties.setdefault(last, {}).update(known.get(kind, {"type": kind}))
