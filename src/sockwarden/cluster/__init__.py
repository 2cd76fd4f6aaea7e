"""Elasticsearch and OpenSearch as one kind of server: what readers, sinks and the doctor ask them by REST."""

from sockwarden.cluster.client import Client, Info
from sockwarden.cluster.connection import Connection, url_flaw
from sockwarden.cluster.failures import AnswerTooLargeError, ClusterError
from sockwarden.cluster.indices import Capabilities, capabilities, index_path, names, stream_of
from sockwarden.cluster.pit import PointInTime
from sockwarden.cluster.secrets import read_secret

__all__ = [
    "AnswerTooLargeError",
    "Capabilities",
    "Client",
    "ClusterError",
    "Connection",
    "Info",
    "PointInTime",
    "capabilities",
    "index_path",
    "names",
    "read_secret",
    "stream_of",
    "url_flaw",
]
