"""The commands and their options. What the commands do is imported when one runs, so that --help is quick."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from sktgdp import __version__
from sktgdp.cli._run import guarded

__all__ = ["app"]

app = typer.Typer(
    name="sktgdp",
    help="Learn a large source table and a small target table; draw new rows of the target.",
    epilog="sktgdp COMMAND --help shows examples. Tables are CSV (.csv, .csv.gz) or Parquet files.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and warnings.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the code an error arose.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite what is there.")]
Device = Annotated[str, typer.Option(help="A torch device: cpu, cuda, mps; auto takes the fastest.")]
Seed = Annotated[int, typer.Option(min=0, help="Equal seeds give equal results.")]
Drop = Annotated[list[str], typer.Option("--drop", metavar="COLUMN", help="Leave out; may be repeated.")]
Missing = Annotated[
    list[str], typer.Option("--missing", metavar="TEXT", help="Text that marks a missing value in CSV.")
]
DropMissing = Annotated[bool, typer.Option("--drop-missing", help="Leave out rows with missing values.")]


def _weight(text: str) -> float | str:
    """A weight, or "auto"."""
    if text == "auto":
        return text
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise typer.BadParameter(f"{text!r} is neither a number of at least 0 nor auto.")
    return value


def _show_version(shown: bool) -> None:
    if shown:
        typer.echo(f"sktgdp {__version__}, Python {platform.python_version()}, torch {version('torch')}")
        raise typer.Exit


@app.callback()
def _top(
    shown: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the program itself."""


FIT_EXAMPLES = """\b
Examples:
  sktgdp fit source.csv target.csv --label diagnosis --model model/
  sktgdp fit old.parquet new.parquet --drop patient_id --model model/
  sktgdp fit source.csv target.csv --label sick --missing "?" --drop-missing --model model/
"""


@app.command("fit", epilog=FIT_EXAMPLES, help="Learn from a source table and a target table.")
@guarded
def _fit(
    source: Annotated[Path, typer.Argument(help="Many rows of a similar domain.")],
    target: Annotated[Path, typer.Argument(help="Few rows of the domain to draw from.")],
    model: Annotated[Path, typer.Option(help="Folder to save the model in.")],
    label: Annotated[str | None, typer.Option(help="Column of classes to draw rows by.")] = None,
    drop: Drop = [],  # noqa: B006
    missing: Missing = [],  # noqa: B006
    drop_missing: DropMissing = False,
    eta_cycle: Annotated[
        str, typer.Option(callback=_weight, help="Weight of the cycle term, or auto.")
    ] = "auto",
    eta_consistency: Annotated[
        str, typer.Option(callback=_weight, help="Weight of the consistency term, or auto.")
    ] = "auto",
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Gradient steps of every network; fewer are faster and worse.")
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Highest learning rate of every network, such as 0.001.")
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    checkpoint: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="State of the fit, to go on from when killed.")
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    from sktgdp.cli._fit import Training, fit_tables
    from sktgdp.cli._pair import Reading

    reading = Reading(tuple(drop), tuple(missing), drop_missing)
    training = Training(eta_cycle, eta_consistency, max_steps, lr, seed, device, checkpoint)
    fit_tables(
        source, target, model, label=label, reading=reading, training=training, force=force, quiet=quiet
    )


SAMPLE_EXAMPLES = """\b
Examples:
  sktgdp sample model/ -n 1000 -o synthetic.csv
  sktgdp sample model/ --label 1=500 --label 0=500 -o synthetic.parquet
  sktgdp sample model/ -n 5 -o -
"""


@app.command("sample", epilog=SAMPLE_EXAMPLES, help="Draw rows of the target from a saved model.")
@guarded
def _sample(
    model: Annotated[Path, typer.Argument(help="A saved model.")],
    output: Annotated[str, typer.Option("--output", "-o", help="CSV or Parquet; - is CSV on the screen.")],
    n_rows: Annotated[int | None, typer.Option("-n", min=1, help="Number of rows.")] = None,
    label: Annotated[
        list[str], typer.Option(metavar="CLASS=COUNT", help="Rows of a class; may be repeated.")
    ] = [],  # noqa: B006
    n_steps: Annotated[int | None, typer.Option("--steps", min=1, help="Steps of the solver.")] = None,
    solver: Annotated[str | None, typer.Option(help="A solver, such as ddim or dpm++2m.")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows that are drawn at a time.")] = 10_000,
    seed: Seed = 0,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    from sktgdp.cli._sample import Drawing, sample_table

    drawing = Drawing(n_rows, label, n_steps, solver, seed, batch_size)
    sample_table(model, output, drawing, device=device, force=force, quiet=quiet)


REPORT_EXAMPLES = """\b
Examples:
  sktgdp report real.csv synthetic.parquet
  sktgdp report target.csv synthetic.csv --label diagnosis -o report.html
  sktgdp report target.csv synthetic.csv --holdout new_rows.csv -o report.html
"""


@app.command("report", epilog=REPORT_EXAMPLES, help="Say how good synthetic rows are, beside real ones.")
@guarded
def _report(
    real: Annotated[Path, typer.Argument(help="Real rows: those that the model was fitted on.")],
    synthetic: Annotated[Path, typer.Argument(help="Rows that it drew.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a page, .html.")] = None,
    holdout: Annotated[Path | None, typer.Option(help="Real rows that the model never saw.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of classes, to judge the use of rows.")] = None,
    drop: Drop = [],  # noqa: B006
    missing: Missing = [],  # noqa: B006
    drop_missing: DropMissing = False,
    seed: Seed = 0,
    force: Force = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    from sktgdp.cli._pair import Reading
    from sktgdp.cli._report import report_tables

    reading = Reading(tuple(drop), tuple(missing), drop_missing)
    report_tables(
        real, synthetic, output, holdout=holdout, label=label, reading=reading,
        seed=seed, force=force, quiet=quiet,
    )  # fmt: skip


@app.command("info", epilog="\b\nExample:\n  sktgdp info model/\n", help="Say what a saved model is.")
@guarded
def _info(
    model: Annotated[Path, typer.Argument(help="A saved model.")],
    debug: Debug = False,
) -> None:
    from sktgdp.cli._sample import show_model

    show_model(model)
