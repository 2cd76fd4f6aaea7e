"""The command line: `sockwarden COMMAND`. Exit codes: 0 ran, 1 alerts at or above --fail-on, 2 wrong usage, 3 input
or sensor failed.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import click

from sockwarden import __version__
from sockwarden.cli.accesses import accesses
from sockwarden.cli.alerts import alerts
from sockwarden.cli.config import config
from sockwarden.cli.doctor import doctor
from sockwarden.cli.hunt import hunt
from sockwarden.cli.kql import kql
from sockwarden.cli.output import print_error
from sockwarden.cli.rules import rules
from sockwarden.cli.run import run
from sockwarden.cli.setup import setup
from sockwarden.cli.sinks import sinks
from sockwarden.cli.sockets import sockets
from sockwarden.cli.stories import stories
from sockwarden.cli.watch import watch
from sockwarden.errors import InputError, SockwardenError


class _Commands(click.Group):
    """Ends quietly when the reader of a pipe has seen enough (`| head`), which click alone would call a failure."""

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


for command in (watch, hunt, run, sockets, alerts, accesses, stories, rules, kql, sinks, setup, config, doctor):
    cli.add_command(command)


def main() -> None:
    """The program; ends the process with its exit code."""
    # Stopped by a service manager as by Ctrl-C: what was found is still written.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character must not end the hunt.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(_run())


def _run() -> int:
    try:
        result = cli.main(prog_name="sockwarden", standalone_mode=False)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        message = error.format_message().replace("\t", "  ")
        print_error(message + (f"\nSee `{context.command_path} --help`." if context else ""))
        return error.exit_code
    except click.Abort:
        print_error("stopped")
        return 130
    except SockwardenError as error:
        print_error(str(error))
        return error.exit_code
    except OSError as error:
        # Of inputs and the store all is caught where it happens; what is left is output, or a limit of the process.
        _drop_output()
        print_error(f"stopped, since the system refused\n{error}\nCheck the free space and `ulimit -n`.")
        return InputError.exit_code
    return result if isinstance(result, int) else 0
