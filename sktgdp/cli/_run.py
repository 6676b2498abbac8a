"""How a command ends: messages, exit statuses, interruption."""

from __future__ import annotations

import functools
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import typer

from sktgdp._extras import require

__all__ = ["Interrupted", "UserError", "guarded", "note", "one_line"]

USER_ERROR, INTERRUPTED = 1, 130
EXPECTED = (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError)


class UserError(Exception):
    """What the user can put right; the message says how."""


class Interrupted(BaseException):
    """Ctrl-C. No KeyboardInterrupt, by which skorch ends one training and goes on with the next."""


def note(text: str) -> None:
    """Tell the user something, beside the results."""
    typer.echo(text, err=True)


def one_line(error: BaseException) -> str:
    """The error's message in one line."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    return " ".join(str(error).split()) or type(error).__name__


def guarded(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command with the options ``quiet`` and ``debug`` end in one line and an exit status."""

    @functools.wraps(command)
    def run(**options: Any) -> None:
        try:
            with ExitStack() as stack:
                stack.enter_context(_interruptible())
                stack.enter_context(_brief_warnings())
                stack.enter_context(_logging(options.get("quiet", False)))
                for package in ("pandas", "pyarrow"):
                    require(package, "The command line", extra="cli")
                command(**options)
                sys.stdout.flush()
        except Interrupted as stop:
            note(str(stop) or "Interrupted; nothing was written.")
            raise typer.Exit(INTERRUPTED) from None
        except (typer.Exit, typer.BadParameter):
            raise
        except BrokenPipeError:  # the reader of our output has seen enough, as `head` does
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes nowhere
            raise typer.Exit(USER_ERROR) from None
        except (UserError, *EXPECTED) as error:
            _show(error, "Error: ", options["debug"])
            raise typer.Exit(USER_ERROR) from None
        except Exception as error:
            _show(error, f"Error: an unexpected {type(error).__name__}: ", options["debug"])
            note("This is a fault of sktgdp. Please report what --debug shows.")
            raise typer.Exit(USER_ERROR) from None

    return run


def _show(error: BaseException, start: str, debug: bool) -> None:
    if debug:
        note("".join(traceback.format_exception(error)).rstrip())
    note(start + one_line(error))


@contextmanager
def _interruptible() -> Iterator[None]:
    """Raise `Interrupted` at Ctrl-C."""

    def stop(number: int, frame: Any) -> None:
        raise Interrupted

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _brief_warnings() -> Iterator[None]:
    """Show warnings as notes, each once."""

    def show(message: Any, *args: Any, **kwargs: Any) -> None:
        note(f"Warning: {' '.join(str(message).split())}")

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


@contextmanager
def _logging(quiet: bool) -> Iterator[None]:
    """Show what the package logs, unless quiet."""
    logger, handler = logging.getLogger("sktgdp"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING if quiet else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
