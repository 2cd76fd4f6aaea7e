"""Settings: the configuration file, and where state is kept."""

from sockwarden.settings.config import Config, ExtraSocket
from sockwarden.settings.index import Cluster, Index
from sockwarden.settings.load import DEFAULT_FILE, Loaded, load_config, parse_config, read_config
from sockwarden.settings.receivers import Header, Syslog, Webhook, url_flaw
from sockwarden.settings.state import state_folder

__all__ = [
    "DEFAULT_FILE",
    "Cluster",
    "Config",
    "ExtraSocket",
    "Header",
    "Index",
    "Loaded",
    "Syslog",
    "Webhook",
    "load_config",
    "parse_config",
    "read_config",
    "state_folder",
    "url_flaw",
]
