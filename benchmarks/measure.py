"""How speed is measured: CPU seconds of one thread, two methods in turn, medians, ratios beside their limits."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("payloadfield", "numpy", "numba", "scipy", "py-pde", "fipy", "sme")


@dataclass(frozen=True)
class Result:
    """One measured figure: its limit, on which side of it is good, and what it was made of.

    `value` None: not measured, and `detail` says why.
    """

    name: str
    value: float | None
    unit: str = "ratio"
    limit: float | None = None
    sense: Literal["at least", "at most"] = "at least"
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept; None where there is no limit or no value."""
        if self.value is None or self.limit is None:
            return None
        return self.value >= self.limit if self.sense == "at least" else self.value <= self.limit


def cpu_seconds(work: Callable[[], Any]) -> float:
    """CPU time of the process over one call [s]."""
    start = time.process_time()
    work()
    return time.process_time() - start


def alternate(first: Callable[[], Any], second: Callable[[], Any], rounds: int = 5) -> tuple[float, float, float]:
    """Median CPU seconds of both and the median of the ratios first / second of pairs taken in turn."""
    pairs = [(cpu_seconds(first), cpu_seconds(second)) for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    return statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs), statistics.median(ratios)


def first_accurate(
    solve: Callable[[float], Any], settings: Sequence[float], error: Callable[[Any], float], target: float
) -> tuple[float, float] | None:
    """The first of the settings, loose to tight, with an error at most `target`: (setting, error), or None."""
    for setting in settings:
        found = error(solve(setting))
        if found <= target:
            return setting, found
    return None


def fit_line(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, float]:
    """Least-squares slope and intercept of y over x, and R^2."""
    import numpy as np

    slope, intercept = np.polyfit(x, y, 1)
    residual = np.asarray(y) - (slope * np.asarray(x) + intercept)
    return float(slope), float(intercept), float(1 - residual.var() / np.var(y))


def package_versions() -> dict[str, str | None]:
    """Version of each package that takes part; None where it is not installed."""
    found: dict[str, str | None] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def describe_machine() -> dict[str, Any]:
    """Processor, cores, memory and versions: what a reader needs to judge a figure."""
    import psutil

    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    return {
        "cpu": model,
        "cores": psutil.cpu_count(logical=True),
        "memory_GiB": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": package_versions(),
    }


def write_results(results: Sequence[Result], label: str, load: float) -> Path:
    """Dated JSON with the machine, the load at the start, and each figure beside its limit; never overwrites."""
    now = datetime.now(UTC)
    path = RESULTS / f"{now:%Y-%m-%d}-{label}.json"
    number = 2
    while path.exists():
        path = RESULTS / f"{now:%Y-%m-%d}-{label}-{number}.json"
        number += 1
    RESULTS.mkdir(exist_ok=True)
    content = {
        "date": now.isoformat(timespec="seconds"),
        "machine": describe_machine(),
        "load_average_at_start": round(load, 2),
        "method": "CPU seconds of one thread; medians; ratios of pairs taken in turn",
        "results": [asdict(result) | {"holds": result.holds} for result in results],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")
    return path
