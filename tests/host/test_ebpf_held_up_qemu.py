"""A thread that is not let run holds a program up, where the kernel preempts itself: what is passed over is counted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from guest import Guest

pytestmark = pytest.mark.host
pytest_plugins = ["guest_fixtures"]

RECEIVE = """\
import json, os, socket, time
from sockwarden.sensors.ebpf.records import Counter
from sockwarden.sensors.ebpf.sensor import EbpfSensor

def receive(pair, files):
    socket.send_fds(pair[0], [b"x"], files)
    for descriptor in socket.recv_fds(pair[1], 1, len(files))[1]:
        os.close(descriptor)

sensor, received, pair = EbpfSensor(only="fentry"), 0, socket.socketpair()
sensor.open()
if not (idle := os.fork()):
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    files = [os.open("/dev/null", os.O_RDONLY)] * 16
    while True:
        receive(pair, files)
pair = socket.socketpair()
with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
    listener.bind("/tmp/held-up.sock")
    listener.listen()
    client.connect("/tmp/held-up.sock")
    end = time.monotonic() + 60
    # What is told is all that was received, and the connect.
    while time.monotonic() < end and sensor.counts()[Counter.ACCESSES] > received:
        # Each time it wakes, it has taken the processor from the other, wherever that was.
        time.sleep(0.0005)
        receive(pair, [client.fileno()])
        received += 1
os.kill(idle, 9)
os.waitpid(idle, 0)
sensor.counts()
before = sensor.missed
sensor.close()
print("SAID", json.dumps([received, sensor.counts()[Counter.ACCESSES], before, sensor.missed]))
"""


def test_what_a_held_up_program_is_passed_over_for_is_counted(guest: Guest, libbpf: Path) -> None:
    output = guest.boot(
        "python3 /receive.py", programs=[libbpf], files={"/receive.py": RECEIVE}, cmdline="preempt=full"
    )
    assert output.status == 0, output.console[-2000:]
    ((received, told, missed, kept),) = map(json.loads, output.after("SAID"))
    lost = received + 1 - told
    assert lost > 0, "no program was held up in a minute"
    assert missed >= lost
    assert kept == missed
