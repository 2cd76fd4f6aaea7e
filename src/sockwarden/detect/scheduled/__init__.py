"""The scheduled engine: a rule at its interval over windows of time, as Kibana runs it."""

from sockwarden.detect.scheduled.execution import Execution, Found, Looked, Staged
from sockwarden.detect.scheduled.timetable import Timetable
from sockwarden.detect.scheduled.windows import MOST_CATCH_UP, Plan, Window, pieces, plan, without

__all__ = [
    "MOST_CATCH_UP",
    "Execution",
    "Found",
    "Looked",
    "Plan",
    "Staged",
    "Timetable",
    "Window",
    "pieces",
    "plan",
    "without",
]
