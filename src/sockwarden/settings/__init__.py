"""Settings: the configuration file, and where state is kept."""

from sockwarden.settings.config import Config, ExtraSocket
from sockwarden.settings.load import DEFAULT_FILE, Loaded, load_config, parse_config, read_config
from sockwarden.settings.state import state_folder

__all__ = [
    "DEFAULT_FILE",
    "Config",
    "ExtraSocket",
    "Loaded",
    "load_config",
    "parse_config",
    "read_config",
    "state_folder",
]
