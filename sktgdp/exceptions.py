"""Errors and warnings of the package, to be caught by name."""

from __future__ import annotations

__all__ = ["CheckpointError", "OverlapWarning"]


class CheckpointError(ValueError):
    """A checkpoint of another fit, a damaged one, or one that another process is using."""


class OverlapWarning(UserWarning):
    """The domains hardly overlap, so that the density ratio rests on next to no source row."""
