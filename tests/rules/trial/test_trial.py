"""Rules tried: the packaged ones on their cases; whether generated documents find what is changed in a query."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from sockwarden.content import packaged
from sockwarden.errors import RuleError
from sockwarden.kql import And, Is, Node, Not, Or, Text, Wildcard, compile_query, parse
from sockwarden.kql.printer import print_query
from sockwarden.rules import Rule, load_packaged
from sockwarden.rules.trial import SUFFIX, Case, deciding, parse_cases, try_rule
from sockwarden.rules.trial.generate import MOST_DOCUMENTS, generate

RULES = load_packaged()
CASES = Path(__file__).parents[2] / "data" / "kql" / "cases.jsonl"
PARSED = [case["query"] for case in map(json.loads, CASES.read_text("utf-8").splitlines()) if case["ok"]]
QUERIES = [
    "process.pid:4 and not process.pid:(5 or 6)",
    "destination.port >= 1024 and destination.port < 2048",
    "source.ip:10.0.0.0/8 and not source.ip:10.1.0.0/16",
    "source.ip:(10.0.0.1 or 2001:db8::/32)".replace("2001:db8::/32", '"2001:db8::/32"'),
    "@timestamp > now-1d and event.created < 2020-01-01",
    "process.name:a*b*c and not process.name:(*x* or *y*)",
    "process.executable.text:bash and message:started",
    "file.pe.sections:{ name:text and entropy > 6 } and file.name:x",
    "not (a:1 and b:2) and (a:1 or b:2)",
    "(a:1 or b:2) and (c:3 or not d:4) and not (e:* and f:5)",
    "event.action:(x or y) and not (event.action:x and user.id:0)",
    "a:(* and not (b or c)) or d:* and not d:e",
    "dll.code_signature.exists:true and not dll.code_signature.valid:true",
    'user.name:"" or user.name:"*" or user.name:\\*',
    "process.name < m and process.args >= k",
    "destination.geo.name:x and host.name:Ä",
]


def cases_of(rule: Rule) -> tuple[Case, ...]:
    return parse_cases((packaged("rules") / f"{rule.stem}{SUFFIX}").read_text("utf-8"), rule.stem)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.stem)
def test_a_packaged_rule_passes_its_cases_and_what_is_made_of_its_query(rule: Rule) -> None:
    outcome = try_rule(rule, cases_of(rule))
    assert outcome.failures == []
    assert outcome.cases >= 5 and outcome.matches >= 3 and outcome.misses >= 10
    assert (outcome.unmet, outcome.impossible, outcome.cut) == ([], [], False)


@pytest.mark.parametrize("query", [*QUERIES, *PARSED])
def test_what_is_made_of_a_query_is_judged_as_it_was_made(query: str) -> None:
    tree = parse(query)
    matches = compile_query(tree)
    wrong = [
        (one.name, one.match, one.document) for one in generate(tree).documents if matches(one.document) != one.match
    ]
    assert wrong == []


FIELDS = ["process.name", "process.pid", "source.ip", "@timestamp", "message", "process.executable.text", "ours"]
FIELDS += ["dll.code_signature.exists", "destination.port"]
VALUES = [
    "a",
    "b*",
    "*",
    "4",
    "true",
    '"x y"',
    "10.0.0.0/8",
    "now-1d",
    "2026-01-01",
    "*c*d",
    "\\*",
    "null",
    "1.5",
    '""',
]


def drawn(draw: random.Random, depth: int) -> str:
    """A query at random, whose values often fit no field's type."""
    kind, field = draw.random(), draw.choice(FIELDS)
    joiner = draw.choice([" or ", " and "])
    if depth == 0 or kind < 0.3:
        operator = draw.choice([":", ":", ":", ":", " < ", " >= "])
        return f"{field}{operator}{draw.choice(VALUES)}"
    if kind < 0.5:
        return f"not ({drawn(draw, depth - 1)})"
    if kind < 0.6:
        return f"{field}:({joiner.join(draw.choice(['', 'not ']) + draw.choice(VALUES) for _ in range(3))})"
    return f"({joiner.join(drawn(draw, depth - 1) for _ in range(draw.randint(2, 3)))})"


@pytest.mark.parametrize("seed", range(20))
def test_what_is_made_of_random_queries_is_judged_as_it_was_made(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 - queries, no secrets
    documents = 0
    for _ in range(100):
        query = drawn(draw, 3)
        tree = parse(query)
        matches = compile_query(tree)
        for one in generate(tree).documents:
            documents += 1
            assert matches(one.document) == one.match, (query, one)
    assert documents > 200


@pytest.mark.parametrize("query", QUERIES)
def test_of_each_query_both_kinds_are_made(query: str) -> None:
    made = generate(parse(query))
    assert {one.match for one in made.documents} == {True, False}
    assert made.impossible == []


def changed(node: Node) -> Iterator[Node]:
    """The tree with one thing wrong: a part left out, `and` for `or`, `not` forgotten, a value with another end."""
    match node:
        case And(children) | Or(children):
            kind = type(node)
            yield (Or if kind is And else And)(children)
            for index, child in enumerate(children):
                rest = (*children[:index], *children[index + 1 :])
                yield kind(rest) if len(rest) > 1 else rest[0]
                for other in changed(child):
                    yield kind((*children[:index], other, *children[index + 1 :]))
        case Not(child):
            yield child
            for other in changed(child):
                yield Not(other)
        case Is(field, Text(value, quoted)):
            yield Is(field, Text(f"{value}x", quoted))
            yield Is(field, Wildcard((value, "")))
            yield Is(field, Wildcard(("", value)))
        case Is(field, Wildcard(pieces)) if any(pieces):
            if pieces[-1]:
                yield Is(field, Wildcard((*pieces, "")))
            yield Is(field, Text("*".join(pieces)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.stem)
def test_every_change_of_a_packaged_query_is_found_by_a_generated_document(rule: Rule) -> None:
    documents = generate(rule.tree).documents
    unfound = []
    for other in changed(rule.tree):
        matches = compile_query(other)
        if all(matches(one.document) == one.match for one in documents):
            unfound.append(print_query(other))
    assert unfound == []


def test_a_failure_names_the_leaf_that_decided() -> None:
    rule = replace(RULES[0], matches=lambda _: False)
    outcome = try_rule(rule, [])
    assert outcome.failed(generated=True) == outcome.matches
    case = Case("not so", match=True, document={"event": {"dataset": "sockwarden.health", "action": "other"}})
    (failure,) = [one for one in try_rule(RULES[0], [case]).failures if not one.generated]
    leaves = {(leaf.field, leaf.values, leaf.matched) for leaf in deciding(failure.explanation)}
    assert leaves == {("event.action", ("other",), False)}


def test_a_condition_that_no_case_meets_is_told() -> None:
    (rule,) = [rule for rule in RULES if rule.stem == "unusual-process-connection-runtime-socket"]
    without = [case for case in cases_of(rule) if "docker-proxy" not in case.name]
    assert try_rule(rule, without).unmet == ['not process.executable:"/usr/bin/docker-proxy"']


def test_what_cannot_be_made_is_told() -> None:
    made = generate(parse("host.name:a and bare"))
    assert [one for one in made.documents if one.match] == []
    assert "a match by host.name:a" in made.impossible
    contradiction = generate(parse("process.name:a and not process.name:a"))
    assert contradiction.impossible == ["a match by process.name:a"]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"name": "a", "match": true}', "document"),
        ('{"name": "a", "match": "yes", "document": {}}', "bool"),
        ('{"name": "a", "match": true, "document": {}, "more": 1}', "more"),
        ('{"name": "b", "match": true, "document": {}}', "name of an earlier case"),
        ("nothing", "malformed"),
        ("[" * 100_000, "line 2"),
    ],
)
def test_a_case_that_is_none(line: str, says: str) -> None:
    text = '{"name": "b", "match": false, "document": {}}\n' + line
    with pytest.raises(RuleError) as refused:
        parse_cases(text, "x.cases.ndjson")
    assert "line 2" in refused.value.why and says in refused.value.why


@pytest.mark.parametrize(
    "query",
    [
        "process.name:(" + " or ".join(f"a{n}" for n in range(5_000)) + ")",
        "not process.name:(" + " or ".join(f"a{n}*" for n in range(2_000)) + ")",
        " and ".join(f"(a{n}:1 or b{n}:2)" for n in range(500)),
        " and ".join(f"(a:{n} or not a:{n})" for n in range(200)),
        "not (" * 60 + "a:b and c:d" + ")" * 60,
    ],
    ids=range(5),
)
def test_a_large_query_costs_little(query: str) -> None:
    started = time.process_time()
    made = generate(parse(query))
    assert time.process_time() - started < 20
    assert made.documents and len(made.documents) <= MOST_DOCUMENTS
