"""Measure the figures and keep them: `python -m benchmarks.run [FIGURE ...] [--label NAME]`.

Writes benchmarks/results/DATE-NAME.json and prints each figure beside its limit. Needs a quiet machine; the load at the
start is kept with the results.
"""

import argparse
import os

from benchmarks.figures import FIGURES
from benchmarks.measure import Result, write_results


def describe(result: Result) -> str:
    """One line: name, value, limit, verdict."""
    if result.value is None:
        return f"{result.name}: not measured ({result.detail.get('why', 'no reason given')})"
    line = f"{result.name}: {result.value:.4g} {result.unit}"
    if result.limit is None:
        return line
    return f"{line} (limit: {result.sense} {result.limit:g}; {'holds' if result.holds else 'DOES NOT HOLD'})"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"any of: {', '.join(FIGURES)} (default: all)")
    parser.add_argument("--label", default="all", help="last part of the file's name")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.figures if name not in FIGURES]
    if unknown:
        parser.error(f"unknown figure {', '.join(unknown)}; there are: {', '.join(FIGURES)}")
    load = os.getloadavg()[0]
    if load > 0.5:
        print(f"Note: the machine is not quiet (load {load:.1f}); ratios suffer, absolute times more so.")
    results = []
    for name in arguments.figures or FIGURES:
        for result in FIGURES[name]():
            print(describe(result), flush=True)
            results.append(result)
    print(f"Written to {write_results(results, arguments.label, load)}")


if __name__ == "__main__":
    main()
