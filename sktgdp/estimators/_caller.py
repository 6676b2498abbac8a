"""Where the user called the package: the line that a warning is to show."""

from __future__ import annotations

import sys

__all__ = ["level_of_user"]


def level_of_user() -> int:
    """The ``stacklevel`` with which the caller's warning shows the user's line, however deep it is called."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("sktgdp."):
        frame, level = frame.f_back, level + 1
    return level
