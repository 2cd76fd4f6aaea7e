"""What the eBPF sensor cannot see, by the rung that it stands on."""

from __future__ import annotations

from sockwarden.sensors.limits import BlindSpot

_ALWAYS = (
    BlindSpot(
        "TCP connections to a daemon from other hosts",
        "a connection over TCP is seen on the machine that makes it",
        "close the port, or demand client certificates (dockerd --tlsverify)",
    ),
    BlindSpot(
        "by what alias a failed attempt named a socket, where its process was gone at once",
        "the kernel tells the name that it was given, and what that led to is looked up a moment later",
        "nothing: such an attempt reached nothing, and one by the socket's own name is told",
    ),
    BlindSpot(
        "what is asked over TCP, by 32-bit daemons, and over connections older than the watch",
        "requests are read as a 64-bit daemon reads them from a local socket, from a connection's first byte on",
        "restart what holds such a connection; until it ends, each is told once as unknown",
    ),
)
_BY_RUNG = {
    "fentry": (
        BlindSpot(
            "a connection received while a thread is held up in receiving one, where the kernel preempts itself",
            "the kernel does not call a program again on a processor where a call of it has not ended",
            "it is counted as lost, and the sweep finds the connection if it lasts; `bpf` in the kernel's lsm= list",
        ),
    ),
    "kprobe": (
        BlindSpot(
            "that another security module refused a connection",
            "a probe looks when the question is asked, before the answer: the access is told as a success too",
            "a kernel with function tracing for BPF, or `bpf` in its lsm= list",
        ),
    ),
    "tracepoint": (
        BlindSpot(
            "a connection whose descriptor another thread replaced and put back around the call",
            "without a hook in the kernel's connect the socket is found by its descriptor, before and after the fact",
            "the sweep finds the connection if it lasts; a kernel with kprobes, function tracing or the BPF LSM",
        ),
        BlindSpot(
            "what became of a connect by io_uring that was to leave no completion, and its listener",
            "without a hook it is told when it is asked for, by the name that the process's memory has then",
            "the sweep finds the connection if it lasts; a kernel as above",
        ),
        BlindSpot(
            "descriptors received through an io_uring, given by a seccomp supervisor, or of a message written over",
            "without a hook where the kernel installs them they are read from the receiver's memory",
            "the sweep finds the connection if it lasts; a kernel as above",
        ),
        BlindSpot(
            "an open of a socket's file by io_uring into its own table, by an alias",
            "the request leaves neither descriptor nor file",
            "nothing: opening gives no connection, and a connect is seen",
        ),
    ),
}


def blind_spots(rung: str) -> list[BlindSpot]:
    """What is not seen from this rung."""
    return [*_BY_RUNG.get(rung, ()), *_ALWAYS]
