"""Settings: the configuration file, and where state is kept."""

from sockwarden.settings.config import Config, ExtraSocket
from sockwarden.settings.index import Cluster, Index
from sockwarden.settings.receivers import Header, Syslog, Webhook, url_flaw
from sockwarden.settings.state import state_folder

__all__ = [
    "Cluster",
    "Config",
    "ExtraSocket",
    "Header",
    "Index",
    "Syslog",
    "Webhook",
    "state_folder",
    "url_flaw",
]
