"""The rules that sockwarden brings: the published one's facts, and what each rule matches."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from sockwarden.content import packaged
from sockwarden.document import Document, put
from sockwarden.kql import parse
from sockwarden.rules import Rule, load_packaged, parse_rule, select
from sockwarden.rules.trial import SUFFIX

RULES = load_packaged()
(PUBLISHED,) = select(RULES, "unusual-process-connection-runtime-socket")
(OURS,) = select(RULES, "unusual-process-runtime-socket-access")

FILES = sorted(file for file in packaged("rules").iterdir() if file.name.endswith(".toml"))


def test_each_passes_every_check() -> None:
    """They are loaded without."""
    checked = [parse_rule(file.read_text("utf-8"), file.name) for file in FILES]
    fields = [name for name in Rule.__struct_fields__ if name != "matches"]
    assert [[getattr(rule, name) for name in fields] for rule in checked] == [
        [getattr(rule, name) for name in fields] for rule in RULES
    ]


ADDRESSES = (
    "/run/containerd/containerd.sock",
    "/var/run/containerd/containerd.sock",
    "/var/run/docker.sock",
    "/run/docker.sock",
)
ALLOWED = (
    "/usr/bin/kubelet",
    "/usr/local/bin/kubelet",
    "/usr/bin/containerd",
    "/usr/sbin/containerd",
    "/usr/bin/containerd-shim",
    "/usr/bin/containerd-shim-runc-v2",
    "/usr/local/bin/containerd-shim-runc-v2",
    "/usr/bin/dockerd",
    "/usr/sbin/dockerd",
    "/usr/bin/docker-proxy",
)
COMPONENTS = (
    "kubelet",
    "containerd",
    "containerd-shim",
    "dockerd",
    "docker-proxy",
    "crio",
    "cri-dockerd",
    "k3s",
    "k0s",
    "kubelite",
    "buildkitd",
)

PUBLISHED_FACTS = {
    "name": "Unusual Process Connection to Docker or Containerd Socket",
    "severity": "medium",
    "risk_score": 47,
    "version": 1,
    "index": ("auditbeat-*", "logs-auditd_manager.auditd-*"),
    "from_": "now-9m",
    "interval": "5m",
    "max_signals": 100,
    "tags": (
        "Data Source: Auditd Manager",
        "Domain: Endpoint",
        "Domain: Container",
        "OS: Linux",
        "Use Case: Threat Detection",
        "Tactic: Discovery",
        "Tactic: Privilege Escalation",
        "Tactic: Lateral Movement",
        "Resources: Investigation Guide",
    ),
    "references": ("https://attack.mitre.org/techniques/T1611/",),
}
PUBLISHED_THREAT = [
    ("TA0007", "Discovery", "T1613", "Container and Resource Discovery"),
    ("TA0004", "Privilege Escalation", "T1611", "Escape to Host"),
    ("TA0008", "Lateral Movement", "T1550", "Use Alternate Authentication Material"),
]


@pytest.mark.parametrize(("field", "fact"), PUBLISHED_FACTS.items(), ids=PUBLISHED_FACTS)
def test_the_published_rules_facts(field: str, fact: object) -> None:
    assert getattr(PUBLISHED, field) == fact


def test_the_published_rules_threat() -> None:
    flat = []
    for threat in PUBLISHED.threat:
        (technique,) = threat.technique
        flat.append((threat.tactic.id, threat.tactic.name, technique.id, technique.name))
        assert threat.framework == "MITRE ATT&CK"
        assert threat.tactic.reference == f"https://attack.mitre.org/tactics/{threat.tactic.id}/"
        assert technique.reference == f"https://attack.mitre.org/techniques/{technique.id}/"
        assert technique.subtechnique == ()
    assert flat == PUBLISHED_THREAT


def test_the_published_rules_query() -> None:
    quoted = [f'"{path}"' for path in ALLOWED]
    quoted.insert(9, "/var/lib/*/usr/bin/dockerd")
    addresses = " or ".join(f'"{address}"' for address in ADDRESSES)
    assert PUBLISHED.tree == parse(
        "host.os.type:linux and event.category:network and event.action:connected-to and "
        f"network.direction:egress and destination.address:({addresses}) and "
        f"process.executable:(* and not ({' or '.join(quoted)}))"
    )


def test_the_published_rule_declares_its_addresses() -> None:
    assert frozenset(("destination.address", address) for address in ADDRESSES) in PUBLISHED.required_literals


def connection(**changes: Any) -> Document:
    document: Document = {
        "host": {"os": {"type": "linux"}},
        "event": {"category": ["network"], "action": "connected-to"},
        "network": {"direction": "egress"},
        "destination": {"address": "/run/docker.sock"},
        "process": {"executable": "/tmp/poke", "name": "poke"},  # noqa: S108 - an attacker's place, not ours
        "sockwarden": {"socket": {"runtime": "docker"}},
    }
    for field, value in changes.items():
        put(document, field.replace("__", "."), value)
    return document


@pytest.mark.parametrize("address", ADDRESSES)
def test_published_each_address_matches(address: str) -> None:
    assert PUBLISHED.matches(connection(destination__address=address))


@pytest.mark.parametrize(
    "address",
    [
        "/run/docker.sock2",
        "/host/run/docker.sock",
        "docker.sock",
        "@/run/docker.sock",
        "/RUN/docker.sock",
        "//run//docker.sock",
        "/run/containerd/containerd.sock.ttrpc",
        ["/run/crio/crio.sock", "/tmp/x"],  # noqa: S108 - part of a document
        [],
    ],
)
def test_published_other_addresses_do_not(address: object) -> None:
    assert not PUBLISHED.matches(connection(destination__address=address))


def test_published_any_of_several_addresses_is_enough() -> None:
    assert PUBLISHED.matches(connection(destination__address=["/run/docker.sock", "/tmp/x"]))  # noqa: S108 - a document's


@pytest.mark.parametrize(
    "executable",
    [*ALLOWED, "/var/lib/snap/usr/bin/dockerd", "/var/lib/a/b/c/usr/bin/dockerd", "/var/lib//usr/bin/dockerd"],
)
def test_published_the_allowed_do_not_match(executable: str) -> None:
    assert not PUBLISHED.matches(connection(process__executable=executable))


@pytest.mark.parametrize(
    "executable",
    [
        "/usr/bin/docker",
        "/usr/bin/ctr",
        "/usr/bin/dockerd (deleted)",
        "/usr/bin/dockerd2",
        "/usr/bin/DOCKERD",
        "/tmp/usr/bin/dockerd",  # noqa: S108 - an attacker's place
        "/var/lib/usr/bin/dockerd",
        "dockerd",
        "",
    ],
)
def test_published_everything_else_matches(executable: str) -> None:
    assert PUBLISHED.matches(connection(process__executable=executable))


def test_published_needs_an_executable() -> None:
    document = connection()
    del document["process"]["executable"]
    assert not PUBLISHED.matches(document)
    assert not PUBLISHED.matches(connection(process__executable=[]))


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("host.os.type", "windows"),
        ("event.category", ["file"]),
        ("event.action", "opened-file"),
        ("network.direction", "ingress"),
    ],
)
def test_published_each_condition_counts(field: str, other: object) -> None:
    document = connection()
    put(document, field, other)
    assert not PUBLISHED.matches(document)


def test_published_matches_failed_connects_too() -> None:
    assert PUBLISHED.matches(connection(event__outcome="failure"))


@pytest.mark.parametrize(
    "action",
    [
        "connected-to",
        "opened-file",
        "held-connection",
        "received-descriptor",
        "duplicated-descriptor",
        "inherited-descriptor",
    ],
)
def test_ours_matches_any_catalogued_socket(action: str) -> None:
    assert OURS.matches(connection(event__action=action, sockwarden__socket__runtime="crio"))


@pytest.mark.parametrize("action", ["deleted", "bound-socket"])
def test_ours_leaves_other_actions(action: str) -> None:
    assert not OURS.matches(connection(event__action=action))


def test_ours_needs_a_socket_that_the_catalogue_knows() -> None:
    document = connection()
    del document["sockwarden"]
    assert not OURS.matches(document)


@pytest.mark.parametrize("component", COMPONENTS)
def test_ours_trusts_the_runtimes_parts(component: str) -> None:
    assert not OURS.matches(connection(sockwarden__actor__component=component))


@pytest.mark.parametrize("component", ["runc", "systemd", "podman", "docker", "ctr", "crictl"])
def test_ours_trusts_nobody_else(component: str) -> None:
    assert OURS.matches(connection(sockwarden__actor__component=component))


def test_ours_leaves_runc_opening_the_file() -> None:
    runc = {"process__executable": "/", "process__name": "runc:[2:INIT]"}
    assert not OURS.matches(connection(event__action="opened-file", **runc))


@pytest.mark.parametrize(
    "changes",
    [
        {"event__action": "connected-to", "process__executable": "/", "process__name": "runc:[2:INIT]"},
        {"event__action": "opened-file", "process__executable": "/tmp/x", "process__name": "runc:[2:INIT]"},  # noqa: S108
        {"event__action": "opened-file", "process__executable": "/", "process__name": "poke"},
    ],
)
def test_ours_nobody_hides_behind_runc(changes: dict[str, str]) -> None:
    assert OURS.matches(connection(**changes))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"event__action": "unknown-call", "sockwarden__sensor__hook": "io_uring"}, True),
        ({"event__action": "unknown-call", "sockwarden__sensor__hook": "unknown"}, False),
        ({"sockwarden__actor__component": "dockerd", "auditd__data__syscall": "io_uring_enter"}, False),
        ({"sockwarden__actor__component": "dockerd", "auditd__data__syscall": "execve"}, True),
    ],
)
def test_ours_a_request_on_an_io_uring(changes: dict[str, str], *, expected: bool) -> None:
    assert OURS.matches(connection(**changes)) is expected


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.stem)
def test_every_rule_is_fit_to_be_given_to_people(rule: Rule) -> None:
    assert all([rule.description.strip(), rule.note.strip(), rule.setup.strip(), rule.false_positives])
    assert rule.tree == parse(rule.query)
    assert rule.required_literals
    headings = re.findall(r"^## (.+)$", rule.note, re.MULTILINE)
    assert {"Triage", "Response"} <= set(headings)


def test_rules_are_unique_and_in_order() -> None:
    assert len({rule.rule_id for rule in RULES}) == len(RULES)
    assert len({rule.name for rule in RULES}) == len(RULES)
    assert [rule.stem for rule in RULES] == sorted(rule.stem for rule in RULES)


def test_every_packaged_file_is_a_rule_or_its_cases() -> None:
    files = {file.name for file in packaged("rules").iterdir()}
    cases = {f"{rule.stem}{SUFFIX}" for rule in RULES}
    assert files - cases == {f"{rule.stem}.toml" for rule in RULES} and cases <= files
    files -= cases
    for name in files:
        text = (packaged("rules") / name).read_text("utf-8")
        assert tomllib.loads(text)["metadata"].keys() >= {"creation_date", "updated_date", "maturity"}
        assert max(map(len, text.splitlines())) <= 160
