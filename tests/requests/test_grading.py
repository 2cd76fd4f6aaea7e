"""Grades: that the data is sound, what the actor changes, and that quiet days stay quiet.

What each grade is for has its row in requests.jsonl.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sockwarden.content import packaged
from sockwarden.kql import ECS, fields_of, parse
from sockwarden.requests.describe import Described, describe, describe_unproven, returned
from sockwarden.requests.facts.shape import MOST_ITEMS, MOST_TEXT
from sockwarden.requests.grading import grade
from sockwarden.requests.message import Answered, Asked, Unproven
from sockwarden.requests.operations import RISKS

DATA: dict[str, list[dict[str, Any]]] = msgspec.toml.decode(packaged("grading.toml").read_bytes())
RULES = [*DATA["grade"], *DATA["adjustment"]]
TECHNIQUES = json.loads(packaged("attack.json").read_bytes())["techniques"]
ROWS = [json.loads(line) for line in (Path(__file__).parent / "requests.jsonl").read_text("utf-8").splitlines()]
HOST = {"origin": "host"}
KUBELET = {"origin": "host", "component": "kubelet", "verified": True}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["reason"])
def test_a_rule_asks_for_fields_that_there_are(rule: dict[str, Any]) -> None:
    fields = {*fields_of(parse(rule["when"].strip())), *rule.get("each", ())}
    assert fields
    unknown = [
        field
        for field in fields
        if field != "value" and ".query." not in field and ECS.type_of(f"sockwarden.{field}") is None
    ]
    assert unknown == []
    assert ("value" in fields) == bool(rule.get("each"))
    assert all(technique in TECHNIQUES for technique in rule.get("technique", ()))


def test_every_rule_has_a_case() -> None:
    seen = {reason for row in ROWS for reason in row["expected"]["reasons"]}
    assert [rule["reason"] for rule in RULES if rule["reason"] not in seen] == []


def test_no_reason_is_given_twice() -> None:
    reasons = [rule["reason"] for rule in RULES]
    assert len(reasons) == len(set(reasons))


def test_every_field_of_a_description_has_a_type() -> None:
    for field in msgspec.structs.fields(Described):
        if field.name in ("kind", "user_agent"):  # event.type and user_agent.original
            continue
        part = next((one for one in getattr(field.type, "__args__", ()) if hasattr(one, "__struct_fields__")), None)
        names = [f"{field.name}.{name}" for name in part.__struct_fields__] if part else [field.name]
        assert all(ECS.type_of(f"sockwarden.request.{name}") for name in names)


ACTORS = [
    ("low", HOST, "low", None),
    ("medium", HOST, "medium", None),
    ("critical", HOST, "critical", None),
    ("low", {"origin": "container"}, "low", None),
    ("medium", {"origin": "container"}, "high", "from-a-container"),
    ("medium", {"origin": "container-init"}, "high", "from-a-container"),
    ("high", {"origin": "container"}, "critical", "from-a-container"),
    ("critical", {"origin": "container"}, "critical", None),
    ("low", KUBELET, "low", "known-component"),
    ("critical", KUBELET, "medium", "known-component"),
    ("critical", {"origin": "host", "component": "kubelet", "verified": False}, "critical", None),
    ("critical", {"origin": "host", "component": "kubelet"}, "critical", None),
    ("critical", {"origin": "host", "verified": True}, "critical", None),
    ("low", {"impersonates": "kubelet"}, "high", "impersonator"),
    ("critical", {"impersonates": "kubelet"}, "critical", None),
    ("low", {}, "low", None),
    ("critical", {"origin": 7, "verified": "true", "component": None}, "critical", None),
]
ASKED: dict[str, dict[str, Any]] = {
    "low": {"operation": "container-list"},
    "medium": {"operation": "container-create", "content": "whole"},
    "high": {"operation": "container-create", "content": "cut"},
    "critical": {"operation": "container-create", "content": "whole", "container": {"privileged": True}},
}


@pytest.mark.parametrize(("asked", "actor", "risk", "reason"), ACTORS)
def test_actor(asked: str, actor: dict[str, Any], risk: str, reason: str | None) -> None:
    verdict = grade(ASKED[asked], actor)
    assert verdict.risk == risk
    assert reason is None or reason in verdict.reasons
    assert len(verdict.reasons) == len(verdict.texts)


@pytest.mark.parametrize(
    "request_", [{}, {"operation": 7}, {"operation": "made-up"}, {"operation": "unknown", "container": "x"}]
)
def test_what_is_no_request_is_unknown(request_: dict[str, Any]) -> None:
    assert grade(request_, HOST).risk == "medium"


def test_one_value_does_not_speak_for_another() -> None:
    mounts = {"mount_sources": ["/etc/localtime", "/etc/shadow"]}
    verdict = grade({"operation": "container-create", "content": "whole", "container": mounts}, HOST)
    assert verdict.texts[-1] == "files that rule the host are mounted: /etc/shadow"


def risk_of(line: str, body: Any, actor: dict[str, Any]) -> str:
    method, target = line.split(" ")
    data = b"" if body is None else json.dumps(body).encode()
    return grade(msgspec.to_builtins(describe(Asked(0, "http/1.1", method, target, (), data, len(data)))), actor).risk


AGENTS_DAY = [
    "GET /_ping",
    "GET /version",
    "GET /info",
    "GET /containers/json?all=1",
    "GET /containers/a/json",
    "GET /containers/a/stats?stream=false",
    "GET /containers/a/logs?follow=1",
    "GET /containers/a/top",
    "GET /events",
    "GET /images/json",
    "GET /images/nginx/json",
    "GET /volumes",
    "GET /networks",
    "GET /networks/bridge",
    "GET /system/df",
    "GET /services",
    "GET /tasks",
    "GET /nodes",
]


@pytest.mark.parametrize("line", AGENTS_DAY)
@pytest.mark.parametrize("actor", [HOST, {"origin": "container"}])
def test_an_agents_day_is_low(line: str, actor: dict[str, Any]) -> None:
    assert risk_of(line, None, actor) == "low"


RUN = {
    "Image": "nginx:1.27",
    "Env": ["A=b"],
    "ExposedPorts": {"80/tcp": {}},
    "HostConfig": {
        "Binds": ["data:/data", "/home/x/src:/src", "/etc/localtime:/etc/localtime:ro"],
        "NetworkMode": "default",
        "PortBindings": {"80/tcp": [{"HostPort": "8080"}]},
        "RestartPolicy": {"Name": "always"},
        "CapAdd": None,
        "MaskedPaths": None,
        "ReadonlyPaths": None,
        "SecurityOpt": None,
        "Mounts": [{"Type": "volume", "Source": "v", "Target": "/v"}],
    },
    "NetworkingConfig": {"EndpointsConfig": {"default": {}}},
}
ADMINS_HOUR: list[tuple[str, Any]] = [
    ("GET /containers/json", None),
    ("GET /images/json", None),
    ("POST /images/create?fromImage=nginx&tag=1.27", None),
    ("POST /images/create?fromImage=registry.corp.example/x&tag=1", None),
    ("POST /containers/create?name=web", RUN),
    ("POST /containers/web/attach?stdin=1", None),
    ("POST /containers/web/wait?condition=removed", None),
    ("POST /containers/web/start", None),
    ("GET /containers/web/logs?follow=1", None),
    ("POST /containers/web/exec", {"Tty": True, "Cmd": ["sh"], "AttachStdin": True}),
    ("POST /exec/e/start", {"Tty": True}),
    ("POST /exec/e/resize?h=1&w=1", None),
    ("HEAD /containers/web/archive?path=/a", None),
    ("GET /containers/web/archive?path=/a", None),
    ("PUT /containers/web/archive?path=/a", None),
    ("POST /build?t=a:b&dockerfile=Dockerfile&buildargs=%7B%7D", None),
    ("POST /session", None),
    ("GET /containers/web/json", None),
    ("GET /containers/web/stats", None),
    ("POST /containers/web/stop", None),
    ("POST /containers/web/update", {"Memory": 1 << 30}),
    ("DELETE /containers/web?v=1", None),
    ("POST /networks/create", {"Name": "n", "Driver": "bridge"}),
    ("POST /networks/n/connect", {"Container": "web"}),
    ("POST /volumes/create", {"Name": "v"}),
    ("POST /containers/prune", None),
    ("POST /networks/prune", None),
    ("POST /images/prune", None),
    ("POST /volumes/prune", None),
    ("POST /build/prune", None),
    ("POST /images/a/tag?repo=b&tag=c", None),
    ("POST /images/b/push?tag=c", None),
    ("GET /images/a/get", None),
    ("POST /images/load", None),
    ("POST /commit?container=web&repo=a", None),
    ("POST /auth", {"username": "u", "password": "p"}),
]


@pytest.mark.parametrize(("line", "body"), ADMINS_HOUR, ids=[line for line, _ in ADMINS_HOUR])
def test_an_admins_hour_is_never_high(line: str, body: Any) -> None:
    assert RISKS.index(risk_of(line, body, HOST)) <= RISKS.index("medium")


def test_lists_that_are_too_long_are_told() -> None:
    body = {"Image": "x" * 5000, "HostConfig": {"Binds": [f"/srv/{number}:/x" for number in range(200)]}}
    data = json.dumps(body).encode()
    described = describe(Asked(0, "http/1.1", "POST", "/containers/create", (), data, len(data)))
    assert described.container is not None
    assert len(described.container.image) == MOST_TEXT
    assert len(described.container.mounts) == MOST_ITEMS
    assert described.container.omitted == 2 * (200 - MOST_ITEMS)
    assert "content-unknown" in grade(msgspec.to_builtins(described), HOST).reasons


def test_the_rest_of_a_connection() -> None:
    described = describe_unproven(Unproven("bytes were lost"), 3)
    assert (described.number, described.operation, described.content) == (3, "unproven", "unknown")
    assert described.summary == "nobody can say what was asked: bytes were lost"


ANSWERS = [
    ("container-create", "", 201, b'{"Id":"abc","Warnings":[]}', "abc", ""),
    ("container-exec-create", "", 201, b'{"Id":"e1"}', "e1", ""),
    ("volume-create", "", 201, b'{"Name":"v"}', "v", ""),
    ("container-start", "", 204, b"", "", ""),
    ("container-create", "", 404, b'{"message":"No such image: x"}', "", "No such image: x"),
    (
        "image-pull",
        "",
        500,
        b'{"message":"Get https://u:hunter2@r/: token=hunter2"}',
        "",
        "Get https://u:[redacted]@r/: token=[redacted]",
    ),
    (
        "image-pull",
        "",
        200,
        b'{"status":"Pulling"}\r\n{"status":"Digest: sha256:00ff"}\n{"status":"Status: done"}\n',
        "sha256:00ff",
        "",
    ),
    ("image-build", "", 200, b'{"stream":"x"}\n{"aux":{"ID":"sha256:00aa"}}\n{"stre', "sha256:00aa", ""),
    ("container-inspect", "", 200, b'{"Id":"abc"}', "", ""),
    ("container-create", "", None, b"", "", ""),
    ("container-create", "", 201, b"[]", "", ""),
    ("container-create", "/runtime.v1.RuntimeService/CreateContainer", 0, b"\x0a\x03abc", "abc", ""),
    ("pod-sandbox-run", "/runtime.v1.RuntimeService/RunPodSandbox", 0, b"\x0a\x03pod", "pod", ""),
]


@pytest.mark.parametrize(("operation", "method", "status", "body", "made", "error"), ANSWERS)
def test_answer(operation: str, method: str, status: int | None, body: bytes, made: str, error: str) -> None:
    found = returned(operation, Answered(5, status, body), method)
    assert (found.number, found.status, found.returned_id, found.error) == (5, status, made, error)


def test_an_errors_message_is_short() -> None:
    assert len(returned("auth", Answered(0, 500, json.dumps({"message": "x" * 4000}).encode())).error) == 512
