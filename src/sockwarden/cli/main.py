"""The command line: `sockwarden COMMAND`. Exit codes: 0 ran, 1 alerts at or above --fail-on, 2 wrong usage, 3 input
or sensor failed.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from importlib import import_module
from typing import Any

import click

from sockwarden import __version__
from sockwarden.errors import InputError, SockwardenError

_COMMANDS = (
    "watch",
    "hunt",
    "run",
    "sockets",
    "alerts",
    "accesses",
    "stories",
    "rules",
    "kql",
    "sinks",
    "setup",
    "config",
    "doctor",
)
"""Each is a module of this package with a command of its name."""


_MADE_BEFORE_A_LOOK = 50_000


class _Commands(click.Group):
    """Imports a command when it is asked for: what the others need takes most of a second.

    Ends quietly when the reader of a pipe has seen enough (`| head`), which click alone would call a failure.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - a Group's method
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - likewise
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"sockwarden.cli.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _drop_output()
            return 0
        return result


def _drop_output() -> None:
    """Python would complain again when it flushes what cannot be written at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="sockwarden")
def cli() -> None:
    """Sees every access to a container runtime's control socket, and says who it was."""


def main() -> None:
    """The program; ends the process with its exit code."""
    # Little that is made here refers to itself in circles, so they are looked for seldom.
    gc.set_threshold(_MADE_BEFORE_A_LOOK, 20, 50)
    # Stopped by a service manager as by Ctrl-C: what was found is still written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character must not end the hunt.
            stream.reconfigure(errors="backslashreplace")
    code = _run()
    # Nothing that is left needs to be looked through for circles: the process ends.
    gc.freeze()
    sys.exit(code)


def _tell(message: str) -> None:
    from sockwarden.cli.output import print_error  # noqa: PLC0415 - as a command: `--version` prints no error

    print_error(message)


def _run() -> int:
    try:
        result = cli.main(prog_name="sockwarden", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        message = error.format_message().replace("\t", "  ")
        _tell(message + (f"\nSee `{context.command_path} --help`." if context else ""))
        return error.exit_code
    except click.Abort:
        _tell("stopped")
        return 130
    except SockwardenError as error:
        _tell(str(error))
        return error.exit_code
    except OSError as error:
        # Of inputs and the store all is caught where it happens; what is left is output, or a limit of the process.
        _drop_output()
        _tell(f"stopped, since the system refused\n{error}\nCheck the free space and `ulimit -n`.")
        return InputError.exit_code
    return result if isinstance(result, int) else 0
