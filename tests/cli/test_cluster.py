"""Which cluster is meant: what the settings leave open, the environment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from sockwarden.cli.cluster import connection_of
from sockwarden.errors import InputError
from sockwarden.settings import Cluster
from sockwarden.settings.load import parse_config

ENVIRONMENT = {"SOCKWARDEN_CLUSTER_URL": "https://env:9200", "SOCKWARDEN_API_KEY": "of-env"}


def test_the_environment_fills_what_the_settings_leave_open(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("of-file\n")
    key.chmod(0o600)
    assert connection_of(Cluster(), ENVIRONMENT).authorization() == "ApiKey of-env"
    chosen = connection_of(Cluster(url="https://file:9200/", api_key_file=str(key)), ENVIRONMENT)
    assert (chosen.base, chosen.authorization()) == ("https://file:9200", "ApiKey of-file")
    user = connection_of(Cluster(url="https://h", username="u", password_file=str(key)), ENVIRONMENT)
    assert (user.username, user.password, user.api_key) == ("u", "of-file", "")


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({}, "no cluster is set"),
        ({"SOCKWARDEN_CLUSTER_URL": "https://u:hidden@h"}, "carries credentials"),
        (ENVIRONMENT | {"SOCKWARDEN_API_KEY": "hidden\x01"}, "printable"),
        (ENVIRONMENT | {"SOCKWARDEN_CLUSTER_URL": "http://far:9200"}, "unencrypted"),
    ],
)
def test_what_cannot_be_used(environment: dict[str, str], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        connection_of(Cluster(), environment)
    assert "hidden" not in str(caught.value) and "of-env" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('url = "https://u:hidden@h"', "line 2: `url` in [cluster]: it carries credentials"),
        ('url = "nowhere"', "it must be https://HOST:PORT"),
        ('username = "u"', "go together"),
        ('password_file = "/x"', "go together"),
        ('username = "u"\npassword_file = "/x"\napi_key_file = "/y"', "one of them decides"),
        ('username = "u:v"', "without"),
        ("timeout = 0", "from 1 to 300"),
        ("insecure = true", "unknown key `insecure`"),
        ('[sinks.index]\nnamespace = "a-b"', "small letters"),
    ],
)
def test_settings_that_cannot_be_used(text: str, says: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_config(f"[cluster]\n{text}\n", Path("config.toml"))
    assert says in str(caught.value) and "hidden" not in str(caught.value)
