"""Errors and warnings of the package, to be caught by name."""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "ColumnError",
    "MemorizationWarning",
    "ModelFileError",
    "NotStorableError",
    "OverlapWarning",
]


class CheckpointError(ValueError):
    """A checkpoint of another fit, a damaged one, or one that another process is using."""


class ColumnError(ValueError):
    """A column of a table that cannot be used as it is.

    Attributes
    ----------
    problem : str
        What is wrong with which column.
    kind : {"missing", "unknown", "empty"}
        Missing values where there were none in ``fit``, categories that were not there, or nothing at all.
    remedy : str
        What to do about it in Python; whoever has other means for it puts them in this place.
    """

    def __init__(self, problem: str, kind: str, remedy: str) -> None:
        super().__init__(problem, kind, remedy)
        self.problem, self.kind, self.remedy = problem, kind, remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}"


class MemorizationWarning(UserWarning):
    """A fit whose samples are nearer to its training rows than new rows of the same law would be."""


class ModelFileError(ValueError):
    """A file that holds no model, or one that is damaged, inconsistent, or newer than this package."""


class NotStorableError(TypeError):
    """A part of an estimator that has no place in a model's files."""


class OverlapWarning(UserWarning):
    """The domains hardly overlap, so that the density ratio rests on next to no source row."""
