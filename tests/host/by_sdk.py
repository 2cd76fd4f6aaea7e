"""What an agent does with the Docker SDK for Python, which expressions have as `client`: `by_sdk.py SOCKET EXPRESSION`;
without one, each line of standard input is one. Prints what each gives.
"""

from __future__ import annotations

import sys

import docker  # type: ignore[import-untyped]  # as it comes from PyPI

client = docker.DockerClient(base_url=f"unix://{sys.argv[1]}")
for expression in sys.argv[2:] or sys.stdin:
    given = eval(expression, {"client": client, "open": open})  # noqa: S307 - this folder's own expressions
    print(given, flush=True)  # noqa: T201 - that is how it speaks
client.close()
