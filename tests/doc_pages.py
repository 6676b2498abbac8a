"""What the documentation is made of."""

from __future__ import annotations

from pathlib import Path

# What sphinx writes: folders, and the times of the gallery
BUILT = {"_build", "_templates", "auto_examples", "generated", "sg_execution_times.rst"}


def source_pages(docs: Path, suffix: str) -> list[Path]:
    """The pages that somebody wrote, without those that a build made of them."""
    return sorted(path for path in docs.rglob(f"*{suffix}") if not BUILT & set(path.parts))
