"""What judging costs: documents by one rule and by many, the steps around it, and lines of JSON beside peers.

    python benchmarks/match.py [--rounds 7] [--quick] [--json FILE]

Everything runs in one process on one core, in rounds: each round measures everything once, so that a slow moment of the
machine hits all. Shown are medians with the least and the most. Documents are those of a generated log, as a hunt reads
them. Rules beyond the packaged ones are made: each asks for an action, a program and an argument of its own, as
published rules do.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import io
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import msgspec
from generate import write
from hunt import describe

from sockwarden.alerts import build
from sockwarden.detect import Detection, Engine, RuleDetection, SignatureDetection
from sockwarden.document import Document
from sockwarden.enrich import name_component
from sockwarden.kql import ECS, parse, required_literals
from sockwarden.kql.evaluate import compile_query
from sockwarden.kql.sql import to_sql
from sockwarden.literals import Wanted
from sockwarden.pipeline.wanted import wanted_by
from sockwarden.readers import Format, Stretch, Tally, format_of, plan
from sockwarden.rules import Rule, load_packaged, select
from sockwarden.signatures import SIGNATURES
from sockwarden.sinks import LineSink
from sockwarden.sockets import Lessons, Resolver, packaged

PUBLISHED = "unusual-process-connection-runtime-socket"
_COUNTS = (1, 10, 50, 100, 200)
_SHARES = (1, 10, 100)
_JQ = """select(.host.os.type == "linux" and (.event.category | flatten? // [.] | index("network")) != null
and .event.action == "connected-to" and .network.direction == "egress"
and ([.destination.address] | flatten | any(. == "/run/containerd/containerd.sock"
  or . == "/var/run/containerd/containerd.sock" or . == "/var/run/docker.sock" or . == "/run/docker.sock"))
and (.process.executable // "" | . != "" and (IN("/usr/bin/kubelet", "/usr/local/bin/kubelet", "/usr/bin/containerd",
  "/usr/sbin/containerd", "/usr/bin/containerd-shim", "/usr/bin/containerd-shim-runc-v2",
  "/usr/local/bin/containerd-shim-runc-v2", "/usr/bin/dockerd", "/usr/sbin/dockerd", "/usr/bin/docker-proxy") | not)
  and (test("^/var/lib/.*/usr/bin/dockerd$") | not)))"""


class Step(NamedTuple):
    """Work that is measured, over `units` documents or bytes. `prepare` gives the work anew for each round."""

    name: str
    units: int
    prepare: Callable[[], Callable[[], object]]


def seconds(steps: Sequence[Step], rounds: int) -> dict[str, list[float]]:
    """Of each step, the seconds a unit in each round."""
    taken: dict[str, list[float]] = {step.name: [] for step in steps}
    for _ in range(rounds):
        for step in steps:
            work = step.prepare()
            gc.collect()
            gc.freeze()  # a hunt holds no thousands of documents for the collector to go through
            began = time.perf_counter()
            work()
            taken[step.name].append((time.perf_counter() - began) / step.units)
    return taken


def detections() -> list[Detection]:
    """All that comes with sockwarden."""
    return [
        *(RuleDetection(rule) for rule in load_packaged()),
        *(SignatureDetection(kind()) for kind in SIGNATURES),
    ]


def made_rules(count: int, like: Rule) -> list[Detection]:
    """Rules that ask for what is their own, beside what many ask."""
    found: list[Detection] = []
    for number in range(count):
        query = (
            f"host.os.type:linux and event.category:(process or network) and event.action:action-{number % 40} and "
            f"process.name:(tool-{number} or other-{number}) and "
            f"(process.args:(--flag-{number % 60} or *payload-{number}*) or process.parent.name:parent-{number % 70})"
        )
        tree = parse(query)
        rule = dataclasses.replace(
            like,
            rule_id=f"made-{number}",
            name=f"Made {number}",
            query=query,
            tree=tree,
            matches=compile_query(tree),
            required_literals=required_literals(tree),
        )
        found.append(RuleDetection(rule))
    return found


class Candidates:
    """Documents of a generated log that the packaged detectors want, as read, and what the log teaches."""

    def __init__(self, folder: Path, megabytes: float) -> None:
        log = folder / "audit.log"
        write(log, megabytes=megabytes, share=15)
        wanted = wanted_by((one.required_literals for one in detections()), packaged())
        self.lessons = Lessons(packaged())
        (stream,) = plan([str(log)])
        with stream:
            form = format_of(stream)
            for document in form.teach(Stretch(stream), packaged().wanted, Tally()) if form.teach else ():
                self.lessons.observe(document)
            wanted |= Wanted(inodes=self.lessons.taught(wanted.addresses))
            self._read = [msgspec.json.encode(document) for document in form.read(Stretch(stream), wanted, Tally())]
        self.resolver = Resolver(packaged(), self.lessons)

    def read(self) -> list[Document]:
        """As the reader gives them."""
        return [msgspec.json.decode(line) for line in self._read]

    def resolved(self) -> list[Document]:
        """As they are judged."""
        documents = self.read()
        for document in documents:
            self.resolver.resolve(document)
            name_component(document)
        return documents


def _each(work: Callable[[Document], object], documents: list[Document]) -> Callable[[], object]:
    def run() -> None:
        for document in documents:
            work(document)

    return run


def _judging(chosen: Sequence[Detection], documents: list[Document]) -> Callable[[], Callable[[], object]]:
    def prepare() -> Callable[[], object]:
        engine = Engine(chosen)  # one that has judged these documents would find every alert repeated

        def run() -> None:
            for document in documents:
                for _ in engine.judge(document):
                    pass

        return run

    return prepare


def _one_by_one(chosen: Sequence[Detection], documents: list[Document]) -> Callable[[], Callable[[], object]]:
    def judge(document: Document) -> None:
        for one in chosen:
            list(one.judge(document))

    return lambda: _each(judge, documents)


def steps_of_rules(candidates: Candidates) -> list[Step]:
    """By the published rule, by all that is packaged, and step by step."""
    everything = detections()
    (rule,) = select(load_packaged(), PUBLISHED)
    documents = candidates.resolved()
    matching = [document for document in documents if rule.matches(document)]
    others = [document for document in documents if not rule.matches(document)]
    quiet = [document for document in documents if not list(Engine(everything).judge(document))]
    found = [(document, one.detector) for document in documents for one in everything for _ in one.judge(document)]
    alerts = [build(document, detector, view=None) for document, detector in found]

    def building() -> None:
        for document, detector in found:
            build(document, detector, view=None)

    def line() -> Callable[[], object]:
        return _each(LineSink("ndjson", io.BytesIO()).add, alerts)

    return [
        Step("published rule, does not match", len(others), lambda: _each(rule.matches, others)),
        Step("published rule, matches", len(matching), lambda: _each(rule.matches, matching)),
        Step("published rule, with its alert", len(matching), _judging([RuleDetection(rule)], matching)),
        Step("resolve", len(documents), lambda: _each(candidates.resolver.resolve, candidates.read())),
        Step("name the component", len(documents), lambda: _each(name_component, candidates.resolved())),
        Step("judge by all packaged, no alert", len(quiet), _judging(everything, quiet)),
        Step("judge by all packaged, a document", len(documents), _judging(everything, documents)),
        Step("build an alert", len(found), lambda: building),
        Step("write an alert as a line", len(alerts), line),
    ]


def steps_of_many(candidates: Candidates) -> list[Step]:
    """By ever more rules, with the index and one by one. The documents have what some of the rules ask for."""
    (like,) = select(load_packaged(), PUBLISHED)
    documents = candidates.resolved()[:500]
    for number, document in enumerate(documents):
        document["event"]["action"] = f"action-{number % 80}"
        document.setdefault("process", {})["name"] = f"tool-{number % 400}"
    steps = []
    for count in _COUNTS:
        rules = made_rules(count, like)
        steps.append(Step(f"{count} rules, indexed", len(documents), _judging(rules, documents)))
        steps.append(Step(f"{count} rules, one by one", len(documents), _one_by_one(rules, documents)))
    return steps


def ndjson_of(folder: Path, share: float, megabytes: float) -> Path:
    """A file of ECS documents of which so many per cent are accesses to runtime sockets."""
    log, file = folder / f"{share}.log", folder / f"{share}.ndjson"
    write(log, megabytes=megabytes, share=share)
    (stream,) = plan([str(log)])
    resolver = Resolver(packaged(), Lessons(packaged()), literal=True)
    with stream, file.open("wb") as lines:
        for document in format_of(stream).read(Stretch(stream), Wanted(everything=True), Tally()):
            resolver.resolve(document)
            document["event"].pop("original", None)
            lines.write(msgspec.json.encode({k: v for k, v in document.items() if k[0] != "_"}) + b"\n")
    log.unlink()
    return file


def _hunted(file: Path, rule: Rule, form: Format) -> int:
    """Matches of one rule, as a hunt has them: read by what the rule requires, resolved, judged."""
    wanted = wanted_by([rule.required_literals], packaged())
    resolver = Resolver(packaged(), Lessons(packaged()), literal=True)
    (stream,) = plan([str(file)])
    found = 0
    with stream:
        for document in form.read(Stretch(stream), wanted, Tally()):
            resolver.resolve(document)
            found += rule.matches(document)
    return found


def _with_jq(file: Path) -> int:
    return len(subprocess.run(["jq", "-c", _JQ, str(file)], capture_output=True, check=True).stdout.splitlines())


def _with_duckdb(file: Path, rule: Rule) -> int:
    with duckdb.connect(config={"threads": 1}) as connection:
        rows = f"SELECT json AS document FROM read_ndjson_objects('{file}')"  # noqa: S608 - a file of ours
        asked = f"SELECT count(*) FROM ({rows}) WHERE {to_sql(rule.tree, ECS)}"  # noqa: S608 - as above
        return int((connection.execute(asked).fetchone() or (0,))[0])


def steps_of_lines(folder: Path, megabytes: float) -> list[Step]:
    """Lines of JSON, by share of candidates. Every tool must find the same."""
    (rule,) = select(load_packaged(), PUBLISHED)
    steps = []
    for share in _SHARES:
        file = ndjson_of(folder, share, megabytes)
        (stream,) = plan([str(file)])
        with stream:
            form = format_of(stream)
        tools: dict[str, Callable[[], int]] = {"sockwarden": lambda file=file, form=form: _hunted(file, rule, form)}  # type: ignore[misc]
        tools["duckdb, one thread"] = lambda file=file: _with_duckdb(file, rule)  # type: ignore[misc]
        if shutil.which("jq"):
            tools["jq"] = lambda file=file: _with_jq(file)  # type: ignore[misc]
        found = {name: run() for name, run in tools.items()}
        if len(set(found.values())) > 1:
            raise SystemExit(f"the tools do not find the same at {share} %: {found}")
        steps += [Step(f"{share} %: {name}", file.stat().st_size, lambda run=run: run) for name, run in tools.items()]  # type: ignore[misc]
    return steps


def _spread(values: list[float], digits: int = 2) -> list[str]:
    return [f"{pick(values):,.{digits}f}" for pick in (statistics.median, min, max)]


def tables(rules: dict[str, list[float]], many: dict[str, list[float]], lines: dict[str, list[float]]) -> list[Any]:
    """The results as tables of text."""
    per_document = [[name, *_spread([1e6 * one for one in taken])] for name, taken in rules.items()]
    for row, taken in zip(per_document, rules.values(), strict=True):
        row.append(f"{1 / statistics.median(taken):,.0f}")
    by_count = []
    for count in _COUNTS:
        indexed, plain = many[f"{count} rules, indexed"], many[f"{count} rules, one by one"]
        ratio = statistics.median([one / other for one, other in zip(plain, indexed, strict=True)])
        by_count.append([str(count), *_spread([1e6 * one for one in indexed]), f"{ratio:.1f}"])
        by_count[-1].insert(4, f"{1e6 * statistics.median(plain):,.2f}")
    of_lines = []
    for name, taken in lines.items():
        own = lines[f"{name.partition(':')[0]}: sockwarden"]
        ratio = statistics.median([one / other for one, other in zip(taken, own, strict=True)])
        of_lines.append([*name.split(": "), *_spread([1e-6 / one for one in taken], 0), f"{ratio:.1f}"])
    return [
        {
            "name": "match-steps",
            "title": "What a candidate document costs",
            "columns": ["step", "µs each, median", "least", "most", "a second"],
            "rows": per_document,
            "note": "One core. The documents are those that a hunt with all packaged rules parses.",
        },
        {
            "name": "match-rules",
            "title": "Many rules at once",
            "columns": ["rules", "µs a document, median", "least", "most", "one by one", "times as long"],
            "rows": by_count,
            "note": "Made rules; one by one: the same rules without the index.",
        },
        {
            "name": "match-lines",
            "title": "Lines of JSON by the published rule",
            "columns": ["candidates", "tool", "MB/s, median", "least", "most", "times as long as sockwarden"],
            "rows": of_lines,
            "note": "One core, whole files, reading included; all tools find the same.",
        },
    ]


def plots(many: dict[str, list[float]]) -> list[Any]:
    """Microseconds a document by the number of rules."""
    series = [
        {
            "name": name,
            "points": [
                [count, *(1e6 * pick(many[f"{count} rules, {name}"]) for pick in (statistics.median, min, max))]
                for count in _COUNTS
            ],
        }
        for name in ("indexed", "one by one")
    ]
    return [
        {
            "name": "match-rules",
            "title": "What a document costs by the number of rules",
            "x": {"label": "rules", "log": True},
            "y": {"label": "µs a document", "log": True},
            "series": series,
        }
    ]


def figures(rules: dict[str, list[float]], many: dict[str, list[float]]) -> dict[str, str]:
    """The figures that README states."""
    rate = {name: f"{1 / statistics.median(taken):,.0f}" for name, taken in rules.items()}
    before = statistics.median(rules["resolve"]) + statistics.median(rules["name the component"])
    quiet = 1e6 * (before + statistics.median(rules["judge by all packaged, no alert"]))
    alert = 1e6 * sum(statistics.median(rules[name]) for name in ("build an alert", "write an alert as a line"))
    growth = statistics.median(many["200 rules, indexed"]) / statistics.median(many["10 rules, indexed"])
    return {
        "match-published-other": f"{rate['published rule, does not match']} documents/s",
        "match-published-matching": f"{rate['published rule, matches']} documents/s",
        "match-quiet": f"{quiet:.0f} µs",
        "match-alert": f"{alert:.0f} µs",
        "match-200-rules": f"{growth:.1f} times what 10 rules cost",
    }


def main() -> None:
    """Measures, prints the tables and writes them where asked to."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small inputs, few rounds")
    parser.add_argument("--json", type=Path, help="write the results here")
    given = parser.parse_args()
    rounds, megabytes = (2, 1.5) if given.quick else (given.rounds, 8.0)
    with tempfile.TemporaryDirectory(prefix="sockwarden-bench-") as name:
        candidates = Candidates(Path(name), megabytes)
        rules = seconds(steps_of_rules(candidates), rounds)
        many = seconds(steps_of_many(candidates), rounds)
        lines = seconds(steps_of_lines(Path(name), megabytes * 3), rounds)
    machine, _, commit = describe().partition(", commit ")
    results = {
        "name": "match",
        "commit": commit,
        "machine": machine,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": " ".join(["python", "benchmarks/match.py", *sys.argv[1:]]),
        "tables": tables(rules, many, lines),
        "plots": plots(many),
        "figures": figures(rules, many),
    }
    for table in results["tables"]:
        print(f"\n{table['title']}\n")
        for row in (table["columns"], *table["rows"]):
            print(f"{row[0]:36}" + "".join(f"{cell:>24}" for cell in row[1:]))
    print("\n" + "\n".join(f"{name}: {text}" for name, text in figures(rules, many).items()))
    if given.json:
        given.json.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    main()
