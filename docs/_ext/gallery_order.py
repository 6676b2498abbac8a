"""The order of the gallery: from first steps to parts of one's own."""

from __future__ import annotations

from sphinx.application import Sphinx

READING_ORDER = (
    "quick_start",
    "two_hospitals",
    "paper_mixture",
    "density_ratio",
    "ablation",
    "mixed_types",
    "engine_noise",
    "ecg",
    "source_free",
    "grid_search",
    "augmented_classifier",
    "imblearn_pipeline",
    "solvers",
    "own_classifier",
    "own_network",
)


class ReadingOrder:
    """Sorts the files of the gallery; a file that the list above lacks is an error."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, filename: str) -> int:
        """Place of one file."""
        return READING_ORDER.index(filename.removeprefix("plot_").removesuffix(".py"))

    def __repr__(self) -> str:
        return "ReadingOrder"


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx imports this module for its class only."""
    return {"parallel_read_safe": True, "parallel_write_safe": True}
