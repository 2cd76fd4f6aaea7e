"""Many requests over few connections, some pipelined: `by_http.py SOCKET NUMBER COUNT`. Prints what was asked, a line
each: the method and the target, which has the number of this process and of the request in it.
"""

from __future__ import annotations

import json
import socket
import sys
from io import BufferedReader

from runtimes import IMAGE

A_CONNECTION, A_BURST, A_CREATE = 250, 10, 200
"""Requests over a connection; those sent together; of how many one makes a container, which the next removes."""
MIXED = (
    "GET /_ping?{}",
    "HEAD /_ping?{}",
    "GET /v1.41/version?{}",
    "GET /v1.41/containers/json?{}",
    "GET /v1.41/containers/{}/json",
    "POST /v1.41/containers/{}/start",
    "GET /v1.41/images/{}/json",
    "GET /v1.24/volumes?{}",
    "GET /networks?{}",
    "DELETE /v1.41/containers/{}",
    "POST /v1.41/containers/{}/exec",
    "GET //v1.41/containers/json?{}",
    "GET /v1.41/images/%73{}/json",
)


def asked(process: str, number: int) -> tuple[str, bytes]:
    """A request's first words and the whole of it."""
    mark = f"n{process}-{number}"
    first, body = MIXED[number % len(MIXED)].format(mark), b""
    if number % A_CREATE == 0:
        first = f"POST /v1.41/containers/create?name={mark}"
        body = json.dumps({"Image": IMAGE, "Cmd": ["sleep"], "Labels": {"padding": "x" * number}}).encode()
    elif number % A_CREATE == 1:
        first = f"DELETE /v1.41/containers/n{process}-{number - 1}"
    elif first.endswith("/exec"):
        body = b'{"Cmd": ["id"]}'
    head = f"{first} HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return first, head.encode() + body


def skip_answer(answers: BufferedReader, method: str) -> None:
    """Reads one answer to its end (RFC 9112, 6.3)."""
    status, length, chunked = int(answers.readline().split()[1]), 0, False
    while (line := answers.readline().strip().lower()) != b"":
        name, _, value = line.partition(b":")
        if name == b"content-length":
            length = int(value)
        chunked = chunked or (name == b"transfer-encoding" and value.strip() == b"chunked")
    if method == "HEAD" or status in (204, 304):
        return
    if chunked:
        while size := int(answers.readline(), 16):
            answers.read(size + 2)
        answers.readline()
    else:
        answers.read(length)


def main() -> None:
    path, process, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    for begin in range(0, count, A_CONNECTION):
        requests = [asked(process, number) for number in range(begin, min(begin + A_CONNECTION, count))]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(path)
            with connection.makefile("rb") as answers:
                # Every other burst is sent at once, and answered in turn.
                for at in range(0, len(requests), A_BURST):
                    burst = requests[at : at + A_BURST]
                    together = [burst] if at // A_BURST % 2 else [[one] for one in burst]
                    for some in together:
                        connection.sendall(b"".join(content for _, content in some))
                        for first, _ in some:
                            skip_answer(answers, first.split()[0])
        print("\n".join(first for first, _ in requests), flush=True)  # noqa: T201 - that is how it speaks


if __name__ == "__main__":
    main()
