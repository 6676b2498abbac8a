"""Errors and warnings of the package, to be caught by name."""

from __future__ import annotations

__all__ = ["CheckpointError", "MemorizationWarning", "ModelFileError", "NotStorableError", "OverlapWarning"]


class CheckpointError(ValueError):
    """A checkpoint of another fit, a damaged one, or one that another process is using."""


class MemorizationWarning(UserWarning):
    """A fit whose samples are nearer to its training rows than new rows of the same law would be."""


class ModelFileError(ValueError):
    """A file that holds no model, or one that is damaged, inconsistent, or newer than this package."""


class NotStorableError(TypeError):
    """A part of an estimator that has no place in a model's files."""


class OverlapWarning(UserWarning):
    """The domains hardly overlap, so that the density ratio rests on next to no source row."""
