"""Settings: the packaged file says the defaults; every error of a file is told with its line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockwarden.content import packaged
from sockwarden.errors import InputError
from sockwarden.settings import Config, ExtraSocket, Syslog, Webhook
from sockwarden.settings.load import load_config, parse_config, read_config

HERE = Path("config.toml")
HOOK = "[[sinks.webhook]]\n"
LOG = '[[sinks.syslog]]\nhost = "h"\n'


def refusal(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse_config(text, HERE)
    return str(caught.value)


def test_the_packaged_file_says_every_default() -> None:
    text = packaged("config.toml").read_text("utf-8")
    loaded = parse_config(text, HERE)
    assert loaded.config == Config()
    settings = set(_names(msgspec.to_builtins(Config())))
    arrays = {"sockets.extra", "sinks.webhook", "sinks.syslog"}
    assert settings - set(loaded.lines) == arrays, "an array of tables stands there as a comment"


def test_the_packaged_examples_are_settings() -> None:
    """As they stand in comments, with every key, and with the default as its value where it has one."""
    text = packaged("config.toml").read_text("utf-8")
    example = parse_config(re.sub(r"^# (\[\[|[a-z_]+ = )", r"\1", text, flags=re.MULTILINE), HERE).config
    assert example.sockets.extra == (ExtraSocket("/srv/engine/api.sock", "docker", "Build engine"),)
    assert example.sinks.webhook == (Webhook("chat", url_file="/etc/sockwarden/chat.url"),)
    assert example.sinks.syslog == (Syslog("siem", "logs.example.org"),)
    for kind, struct in (("sockets.extra", ExtraSocket), ("sinks.webhook", Webhook), ("sinks.syslog", Syslog)):
        section = text.partition(f"# [[{kind}]]\n")[2].partition("\n\n")[0]
        assert set(re.findall(r"^# ([a-z_]+) = ", section, re.MULTILINE)) == {*struct.__struct_fields__}


def _names(table: dict[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in table.items():
        found += _names(value, f"{prefix}{key}.") if isinstance(value, dict) else [prefix + key]
    return found


def test_what_is_set_and_where() -> None:
    text = '[retention]\n\nsize = "1500 MB" # enough\n[sinks]\nfile = { path = "/var/log/s.ndjson", form = "ecs" }\n'
    loaded = parse_config(text, HERE)
    assert loaded.config.retention.max_bytes == 1_500_000_000
    assert loaded.config.retention.days == 30
    assert loaded.config.sinks.file.form == "ecs"
    assert loaded.lines["retention.size"] == 3
    assert loaded.lines["sinks.file.path"] == 5
    assert "retention.days" not in loaded.lines


@pytest.mark.parametrize(
    ("size", "size_in_bytes"), [("16MiB", 16 << 20), ("2 GiB", 2 << 30), ("1 TB", 10**12), ("20000 kB", 20_000_000)]
)
def test_sizes(size: str, size_in_bytes: int) -> None:
    assert parse_config(f'[retention]\nsize = "{size}"', HERE).config.retention.max_bytes == size_in_bytes


def test_all_errors_at_once_with_their_lines() -> None:
    text = """[watch]
state = "relative"
[sensor.audit]
unicast = true
[sinks.file]
form = "ndjsn"
path = 3
[retention]
days = 0
size = "10 gigs"
[sockets]
ignore = ["x", "/run/a.sock", 3]
[[sockets.extra]]
address = "/run/x.sock"
[rules]
enabled = []
"""
    told = refusal(text)
    assert "config.toml: cannot be used as configuration: 10 errors" in told
    assert 'line 2: `state` in [watch]: expected an absolute path, or "" for none, found the string "relative"' in told
    assert "line 3: unknown key `sensor`: did you mean `sensors`?" in told
    assert "line 6: `form`" in told and "did you mean `ndjson`?" in told
    assert "line 7: `path` in [sinks.file]: expected an absolute path" in told
    assert "line 9: `days` in [retention]: expected a whole number of days from 1 to 36500, found the number 0" in told
    assert "line 10: `size` in [retention]: expected a size as text" in told
    assert "line 12: `ignore[0]` in [sockets]" in told and "line 12: `ignore[2]` in [sockets]" in told
    assert "line 13: missing key `runtime` in [sockets.extra]" in told
    assert "line 16: unknown key `enabled` in [rules]: did you mean `enable`?" in told
    assert "config show --defaults" in told


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[watch\n", "line 1: TOML syntax: Expected ']'"),
        ("a = 1\na = 2\n", "TOML syntax"),
        ("a" + ".a" * 200 + " = 1", "more than 32 parts"),
        ("[retention]\nsize = 5", "expected a size as text"),
        ('[retention]\nsize = "1 MiB"', "line 2: `size` in [retention]: at least 16 MiB"),
        ('[retention]\nsize = "0 TiB"', "at least 16 MiB"),
        ("[retention]\ndays = true", "found the boolean true"),
        ("[retention]\ndays = 99999999999999999999999", "an integer must fit 64 bits"),
        ('[metrics]\nlisten = "127.0.0.1"', "an address with its port"),
        ('[metrics]\nlisten = "127.0.0.1:99999"', "line 2: `listen`: a port is a number from 1 to 65535"),
        ('[metrics]\nlisten = "0.0.0.0:0"', "a port is a number from 1 to 65535"),
        ('[metrics]\nfile = "/var/\\nx"', "an absolute path"),
        ('[rules]\nfiles = ["mine.toml"]', "a rule file's absolute path"),
        ('[rules]\nenable = ["a"]\ndisable = ["a"]', "line 3: `disable` in [rules]: 'a' is in `enable` too"),
        ('[[sockets.extra]]\naddress = "1.2.3.4:0"\nruntime = "x"', "line 2: `address`: a port is"),
        ('[[sockets.extra]]\naddress = "run/x"\nruntime = "X"', "line 3: `runtime` in [sockets.extra]"),
        ("sinks = 3", "line 1: `sinks`: expected a table, found the number 3"),
        ("sockets.extra = 3", "expected an array of tables"),
        ("[sensors.audit]\nbacklog = 10", "from 1024 to 1048576"),
        ('[sinks]\nspool = "1 kB"', "line 2: `spool` in [sinks]: at least 1 MiB"),
        (
            HOOK + 'name = "A"\nurl = "https://h/"',
            "line 2: `name` in [sinks.webhook]: expected a name of",
        ),
        (
            HOOK + 'name = "index"\nurl = "https://h/"',
            "line 2: `name` in [sinks.webhook]: 'index' is another",
        ),
        (HOOK + 'name = "a"', "'a' needs either `url` or `url_file`"),
        (HOOK + 'name = "a"\nurl = "https://h/"\nurl_file = "/x"', "'a' needs either `url` or `url_file`"),
        (HOOK + 'name = "a"\nurl = "http://h/secret"', "line 3: `url` in [sinks.webhook]: http is unencrypted"),
        (HOOK + 'name = "a"\nurl = "ftp://h/secret"', "line 3: `url` in [sinks.webhook]: it is no web address"),
        (HOOK + 'name = "a"\nurl = "https://h:99999/secret"', "it is no web address"),
        (HOOK + 'name = "a"\nurl = "https://[::1/secret"', "it is no web address"),
        (HOOK + 'name = "a"\nurl = "https://h/"\nform = "template"', "line 4: `form` in [sinks.webhook]: `form ="),
        (HOOK + 'name = "a"\nurl = "https://h/"\nform = "slack"\nbatch = 2', "line 5: `batch`"),
        (HOOK + 'name = "a"\nurl = "https://h/"\nheaders = [{ name = "x" }]', "line 4: `headers`"),
        (HOOK + 'name = "a"\nurl = "https://h/"\nheaders = [{ name = "x: y", value = "z" }]', "a header's name"),
        (LOG + 'name = "a"\n' + LOG + 'name = "a"', "line 6: `name` in [sinks.syslog]: 'a' is another sink's name"),
        (LOG + 'name = "a"\nstructured_data_id = "a b@1"', "a name and a private enterprise number"),
        (
            LOG + 'name = "a"\ntransport = "udp"\nmost_bytes = 70000',
            "line 5: `most_bytes` in [sinks.syslog]: at least 2048",
        ),
        (LOG + 'name = "a"\nmost_bytes = 1000', "line 4: `most_bytes` in [sinks.syslog]: at least 2048"),
        (LOG + 'name = "a"\nca_file = "/x"', 'line 4: `ca_file` in [sinks.syslog]: only `transport = "tls"`'),
    ],
)
def test_each_error_says_where_and_what(text: str, says: str) -> None:
    assert says in refusal(text)


def test_many_errors_are_cut() -> None:
    told = refusal("\n".join(f"key{number} = 1" for number in range(200)))
    assert "the first 50 errors" in told
    assert told.count("unknown key") == 50


@given(text=st.text() | st.text("[]{}='\"\n.,#ab1-"))
def test_any_text_is_settings_or_an_error(text: str) -> None:
    try:
        assert isinstance(parse_config(text, HERE).config, Config)
    except InputError as error:
        assert "line " in str(error)


def test_no_file_at_the_usual_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sockwarden.settings.load.DEFAULT_FILE", tmp_path / "none.toml")
    assert load_config() == Config()
    assert read_config().path is None


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_config(tmp_path / "none.toml")


@pytest.mark.parametrize("kind", ["fifo", "folder", "binary", "large", "NUL"])
def test_what_is_no_such_file(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.toml"
    match kind:
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "binary":
            path.write_bytes(b"\n\xff")
        case "large":
            path.write_bytes(b"#" * (2 << 20))
        case "NUL":
            path = tmp_path / "a\0b"
    with pytest.raises(InputError) as caught:
        load_config(path)
    if kind == "binary":
        assert "line 2" in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root refuses what others may write")
@pytest.mark.parametrize(
    ("mode", "owner", "folder_mode", "refused"),
    [
        (0o644, 0, 0o755, False),
        (0o600, 0, 0o700, False),
        (0o666, 0, 0o755, True),
        (0o644, 65534, 0o755, True),
        (0o644, 0, 0o777, True),
        (0o644, 0, 0o1777, False),
    ],
)
def test_root_refuses_what_others_may_write(
    tmp_path: Path, mode: int, owner: int, folder_mode: int, refused: bool
) -> None:
    folder = tmp_path / "etc"
    folder.mkdir()
    folder.chmod(folder_mode)
    path = folder / "config.toml"
    path.write_text("")
    path.chmod(mode)
    os.chown(path, owner, 0)
    if not refused:
        assert load_config(path) == Config()
        return
    with pytest.raises(InputError, match="others than root") as caught:
        load_config(path)
    assert "chown root:root" in caught.value.todo


@pytest.mark.skipif(os.geteuid() != 0, reason="only root refuses what others may write")
@pytest.mark.parametrize(
    ("owner", "folder_mode", "refused"),
    [(0, 0o755, False), (0, 0o777, True), (65534, 0o1777, True), (0, 0o1777, False)],
)
def test_root_follows_no_link_that_others_may_turn(tmp_path: Path, owner: int, folder_mode: int, refused: bool) -> None:
    (tmp_path / "config.toml").write_text("")
    folder = tmp_path / "others"
    folder.mkdir()
    folder.chmod(folder_mode)
    link = folder / "config.toml"
    link.symlink_to(tmp_path / "config.toml")
    os.chown(link, owner, 0, follow_symlinks=False)
    if not refused:
        assert load_config(link) == Config()
        return
    with pytest.raises(InputError, match="others than root"):
        load_config(link)


def test_no_error_quotes_an_address() -> None:
    for url in ("http://h/secret", "ftp://h/secret", "https:///secret", "https://h/ secret", "https://h/\\tsecret"):
        assert "secret" not in refusal(f'{HOOK}name = "a"\nurl = "{url}"')


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/x", "http://[::1]/x", "http://localhost/", "https://h.example/x"]
)
def test_addresses_that_are_fine(url: str) -> None:
    assert parse_config(f'{HOOK}name = "a"\nurl = "{url}"', HERE).config.sinks.webhook[0].url == url
