"""The scheduled engine put together: rules at their intervals over a source, into the store, on to the sinks."""

from sockwarden.pipeline.scheduled.outgoing import Outgoing
from sockwarden.pipeline.scheduled.preview import Preview, fill, preview, starts
from sockwarden.pipeline.scheduled.runner import Runner, is_scheduled
from sockwarden.pipeline.scheduled.service import Service

__all__ = ["Outgoing", "Preview", "Runner", "Service", "fill", "is_scheduled", "preview", "starts"]
