"""Tables as Parquet, beside the CSV files of the same name."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from payloadfield.compare.layout import METRICS, RANKS, REFINEMENT, SAMPLES, SPREAD, WINDOWS
from payloadfield.errors import RunError
from payloadfield.store.files import write_atomically

TABLES = (METRICS, RANKS, WINDOWS, SAMPLES, SPREAD, REFINEMENT)


def refuse_without_parquet() -> None:
    """Raise RunError where PyArrow, which writes Parquet, is not installed."""
    try:
        import pyarrow.csv
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise RunError("--parquet: needs PyArrow, which is not installed; install payloadfield[parquet]") from None


def write_parquet(table: Path) -> Path:
    """Write a CSV table again as Parquet, every number as it is there, and return the new file."""
    refuse_without_parquet()
    from pyarrow import csv, parquet

    stream = BytesIO()
    options = csv.ConvertOptions(null_values=[""])  # "nan" is a number that is not known, no gap
    parquet.write_table(csv.read_csv(table, convert_options=options), stream, compression="zstd")
    made = table.with_suffix(".parquet")
    write_atomically(made, stream.getvalue())
    return made


def write_tables(folder: Path) -> list[Path]:
    """The tables of a comparison's folder as Parquet."""
    return [write_parquet(folder / name) for name in TABLES if (folder / name).exists()]
