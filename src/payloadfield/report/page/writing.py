"""Writes a report: the page, its numbers as JSON beside it, and a PDF where a browser is there."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from payloadfield.errors import RunError
from payloadfield.report.page import tables
from payloadfield.report.page.build import build_page
from payloadfield.report.page.document import Document, read_document
from payloadfield.store.files import write_atomically

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_PATIENCE = 120.0  # s for a browser to print a page


def write_report(
    folders: Sequence[str | Path], output: str | Path, *, times: Sequence[float] = (), with_pdf: bool = False
) -> list[Path]:
    """Write the report of a comparison or of runs, and return the files made: HTML, JSON, and a PDF if asked for.

    times: of the field sections [s].  Raises RunError where the folders cannot be compared, the file cannot be written,
    or no browser is there for the PDF; the page is written before that.
    """
    page = Path(output)
    if page.suffix.lower() not in (".html", ".htm"):
        raise RunError(f"report -o: got {page}; a name that ends in .html is needed")
    document = read_document(folders)
    write_atomically(page, build_page(document, times).encode())
    numbers = page.with_suffix(".json")
    write_atomically(numbers, json.dumps(report_numbers(document), indent=2, ensure_ascii=False).encode() + b"\n")
    return [page, numbers, *([print_pdf(page)] if with_pdf else [])]


def report_numbers(document: Document) -> dict[str, Any]:
    """The numbers of a report as plain data; what is not a number is null."""
    return {
        "title": document.title,
        "targets": list(document.targets),
        "neighbours": list(document.neighbours),
        "rank_by": document.rank_by,
        "ranks": [dict(row) for row in document.ranks],
        "cases": [
            {
                "scenario": case.scenario,
                "design": case.design,
                "dose_factor": case.dose_factor,
                "state": case.state,
                "reason": case.reason,
                "metrics": [{**asdict(m), "value": m.value if math.isfinite(m.value) else None} for m in case.metrics],
            }
            for case in document.cases
        ],
        "refinement": [dict(row) for row in document.refinement],
        "benchmark": dict(document.benchmark),
        "inputs_by_grade": dict(tables.grades(document)),
    }


def print_pdf(page: Path) -> Path:
    """Print a page to a PDF beside it, by a browser without a window.  Raises RunError where there is none."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise RunError(
            f"report --pdf: {page} is written, but no browser is here to print it (looked for {', '.join(BROWSERS)}); "
            "open the page in any browser and print it"
        )
    made = page.with_suffix(".pdf")
    flags = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--no-pdf-header-footer",
        f"--print-to-pdf={made.resolve()}",
    ]
    try:
        done = subprocess.run(
            [browser, *flags, page.resolve().as_uri()], capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"report --pdf: {browser} did not print the page: {error}") from None
    if done.returncode != 0 or not made.exists():
        raise RunError(f"report --pdf: {browser} did not print the page: {done.stderr.decode(errors='replace')[-300:]}")
    return made
