"""Pictures are closed after each test, and drawn to the end before: an artist that cannot be drawn fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("matplotlib")

import matplotlib.pyplot as plt


@pytest.fixture(autouse=True)
def _drawn_and_closed() -> Iterator[None]:
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")
