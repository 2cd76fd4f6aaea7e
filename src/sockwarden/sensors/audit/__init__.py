"""Live accesses from the kernel's audit records: rules on sockets, the records themselves, and what is blind.

protocol    requests and answers of NETLINK_AUDIT       privilege   who may speak it
rule        one rule: read, made, printed               targets     the rules of ours
placement   keeps them in place                         changes     audit's status, changed and put back
tamper      what others set against them                runtime     what a run leaves for the next
losses      records that did not arrive                 blind       what is not seen
sensor      all of it together
"""

from sockwarden.sensors.audit.blind import Audit, blind_spots
from sockwarden.sensors.audit.changes import remove_leftovers
from sockwarden.sensors.audit.losses import Losses
from sockwarden.sensors.audit.protocol import Status, list_rules, read_status
from sockwarden.sensors.audit.rule import Rule
from sockwarden.sensors.audit.runtime import DEFAULT
from sockwarden.sensors.audit.sensor import AuditSensor, Leftover
from sockwarden.sensors.audit.targets import OUR_KEY, rules_for

__all__ = [
    "DEFAULT",
    "OUR_KEY",
    "Audit",
    "AuditSensor",
    "Leftover",
    "Losses",
    "Rule",
    "Status",
    "blind_spots",
    "list_rules",
    "read_status",
    "remove_leftovers",
    "rules_for",
]
