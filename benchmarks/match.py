"""What judging costs: documents by one rule and by many, the steps around it, and lines of JSON beside peers.

    python benchmarks/match.py [--rounds 7] [--quick] [--json FILE]

Everything runs in one process on one core, in rounds: each round measures everything once. Documents are those of a
generated log, as a hunt reads them. Rules beyond the packaged ones are made: each asks for an action, a program and an
argument of its own, as published rules do.
"""

from __future__ import annotations

import gc
import io
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import msgspec
from generate import write
from results import Axis, Cell, Plot, Series, Table, arguments, finish, number, ratio, spread

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
from sockwarden.sockets import Lessons, Resolver, lesson_in, packaged

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
    for place in range(count):
        query = (
            f"host.os.type:linux and event.category:(process or network) and event.action:action-{place % 40} and "
            f"process.name:(tool-{place} or other-{place}) and "
            f"(process.args:(--flag-{place % 60} or *payload-{place}*) or process.parent.name:parent-{place % 70})"
        )
        tree = parse(query)
        rule = msgspec.structs.replace(
            like,
            rule_id=f"made-{place}",
            name=f"Made {place}",
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
        self.lessons = Lessons()
        (stream,) = plan([str(log)])
        with stream:
            form = format_of(stream)
            for document in form.teach(Stretch(stream), packaged().wanted, wanted, Tally()) if form.teach else ():
                self.lessons.learn(lesson_in(document, packaged()))
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
    for place, document in enumerate(documents):
        document["event"]["action"] = f"action-{place % 80}"
        document.setdefault("process", {})["name"] = f"tool-{place % 400}"
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
    resolver = Resolver(packaged(), Lessons(), literal=True)
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
    resolver = Resolver(packaged(), Lessons(), literal=True)
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


def _each_as(unit: float, taken: list[float]) -> list[float]:
    return [unit * one for one in taken]


def tables(rules: dict[str, list[float]], many: dict[str, list[float]], lines: dict[str, list[float]]) -> list[Table]:
    """The comparisons."""
    steps: list[list[Cell]] = [
        [name, str(spread(_each_as(1e6, taken))), round(1 / statistics.median(taken))] for name, taken in rules.items()
    ]
    by_count: list[list[Cell]] = []
    for count in _COUNTS:
        indexed, plain = many[f"{count} rules, indexed"], many[f"{count} rules, one by one"]
        each = (str(spread(_each_as(1e6, taken))) for taken in (indexed, plain))
        by_count.append([count, *each, str(ratio(plain, indexed))])
    of_lines: list[list[Cell]] = []
    for name, taken in lines.items():
        share, _, tool = name.partition(": ")
        compared = ratio(taken, lines[f"{share}: sockwarden"])
        of_lines.append([share, tool, str(spread([1e-6 / one for one in taken])), str(compared)])
    return [
        Table(
            "steps",
            "What a candidate document costs",
            ["step", "µs each", "a second"],
            steps,
            "One core. The documents are those that a hunt with all packaged rules parses.",
        ),
        Table(
            "rules",
            "Many rules at once",
            ["rules", "µs a document", "the same, one by one", "times as long"],
            by_count,
            "Made rules; one by one: the same rules without the index.",
        ),
        Table(
            "lines",
            "Lines of JSON by the published rule",
            ["candidates", "tool", "MB/s", "times as long as sockwarden"],
            of_lines,
            "One core, whole files, reading included; all tools find the same.",
        ),
    ]


def by_rules(many: dict[str, list[float]]) -> Plot:
    """Microseconds a document by the number of rules."""
    series = [
        Series(name, [(count, *spread(_each_as(1e6, many[f"{count} rules, {name}"]))) for count in _COUNTS])
        for name in ("indexed", "one by one")
    ]
    return Plot(
        "by-rules",
        "What a document costs by the number of rules",
        Axis("rules", log=True),
        Axis("µs a document", log=True),
        series,
    )


def figures(rules: dict[str, list[float]], many: dict[str, list[float]]) -> dict[str, str]:
    """The figures that pages state."""
    median = {name: statistics.median(taken) for name, taken in (rules | many).items()}
    quiet = median["resolve"] + median["name the component"] + median["judge by all packaged, no alert"]
    return {
        "other-a-second": f"{1 / median['published rule, does not match']:,.0f}",
        "matching-a-second": f"{1 / median['published rule, matches']:,.0f}",
        "quiet-us": number(1e6 * quiet),
        "alert-us": number(1e6 * (median["build an alert"] + median["write an alert as a line"])),
        "growth": number(median["200 rules, indexed"] / median["10 rules, indexed"]),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, help="7; quick: 2")
    given = parser.parse_args()
    rounds, megabytes = given.rounds or (2 if given.quick else 7), 1.5 if given.quick else 8.0
    with tempfile.TemporaryDirectory(prefix="sockwarden-benchmark-") as name:
        candidates = Candidates(Path(name), megabytes)
        rules = seconds(steps_of_rules(candidates), rounds)
        many = seconds(steps_of_many(candidates), rounds)
        lines = seconds(steps_of_lines(Path(name), megabytes * 3), rounds)
    finish(given, tables(rules, many, lines), [by_rules(many)], figures(rules, many))


if __name__ == "__main__":
    main()
