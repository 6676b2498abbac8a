"""The command line (extra ``cli``): fit on two tables, sample a third, judge it; without a line of Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from sktgdp._extras import require

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments, without the program's name; those of the process by default.

    Returns
    -------
    int
        Exit status: 0 done, 1 an error that the user can put right, 2 wrong usage, 130 interrupted.
    """
    try:
        require("typer", "The command line", extra="cli")
        from sktgdp.cli._app import app

        app(args=None if argv is None else list(argv), prog_name="sktgdp")
    except ImportError as error:
        sys.stderr.write(f"Error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 0
    return 0
