"""Prints serial and path of each event that auparse takes for a connect, one JSON pair a line.

Run by the system's own Python, which has Debian's python3-audit: `/usr/bin/python3 by_auparse.py LOG`.
"""

import json
import sys

import auparse  # type: ignore[import-not-found] # comes with the system, not with the project

parser = auparse.AuParser(auparse.AUSOURCE_FILE, sys.argv[1])
while parser.parse_next_event():
    call = path = None
    parser.first_record()
    while True:
        kind = parser.get_type_name()
        if kind == "SYSCALL" and parser.find_field("syscall"):
            call = parser.interpret_field()
        elif kind == "SOCKADDR" and parser.find_field("saddr"):
            try:
                path = parser.interpret_field()
            except UnicodeDecodeError:
                sys.exit("auparse: a path that is not UTF-8 ends the reading")
        if not parser.next_record():
            break
    if call == "connect" and path and "path=" in path:
        sys.stdout.write(
            json.dumps([parser.get_timestamp().serial, path.partition("path=")[2].removesuffix(" }")]) + "\n"
        )
