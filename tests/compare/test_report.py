"""Reports: one page that stands alone, says what the files say, and is the same bytes each time."""

import json
import re
import shlex
import shutil
import subprocess
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from payloadfield.cli.program import run_program
from payloadfield.compare.comparison import Request, compare_designs
from payloadfield.errors import RunError
from payloadfield.report.page.build import build_page
from payloadfield.report.page.charts import binned, pareto_front
from payloadfield.report.page.document import read_document
from payloadfield.report.page.tables import assumptions, commands, grades
from payloadfield.report.page.words import label, metric, number, with_spread
from payloadfield.report.page.writing import BROWSERS, report_numbers, write_report
from payloadfield.store.simulate import simulate
from payloadfield.study import load_study

BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
SECTIONS = (
    "summary",
    "cells",
    "price",
    "doses",
    "fates",
    "sources",
    "distance",
    "fields",
    "balance",
    "solver",
    "speed",
    "inputs",
    "again",
)


class Outline(HTMLParser):
    """What is on a page: tags with their attributes, and the text of headings and cells."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text, self._open = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._open.append(tag)

    def handle_endtag(self, tag):
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data):
        if data.strip():
            self.text.append((self._open[-1] if self._open else "", data.strip()))

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="session")
def page(compared, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report([compared.folder], path)
    return path


@pytest.fixture(scope="session")
def outline(page):
    return Outline(page.read_text())


def test_the_page_stands_alone(page, outline):
    text = page.read_text()
    assert page.stat().st_size < 3e6
    assert not outline.of("script") and not outline.of("link")[1:]
    for _, attributes in outline.tags:
        for key in ("src", "href", "xlink:href", "action", "data"):
            assert attributes.get(key, "#").startswith(("#", "data:"))
    assert not re.search(r"url\((?!#|data:)", text) and "@import" not in text


def test_no_formula_is_left_as_its_source(page):
    assert "mathdefault" not in page.read_text()


def test_every_section_is_there_and_linked(outline):
    ids = [attributes["id"] for _, attributes in outline.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for name in SECTIONS:
        assert name in ids, name
    linked = {a["href"] for a in outline.of("a") if "href" in a}
    assert linked == {f"#{name}" for name in SECTIONS}


def test_the_page_can_be_used_by_ear_and_by_keyboard(outline):
    assert outline.of("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    pictures = [a for a in outline.of("svg") if "role" in a]
    assert len(pictures) >= 8
    assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in pictures)
    assert all(a.get("scope") == "col" for a in outline.of("th"))
    assert len(outline.of("caption")) == len(outline.of("table"))
    scrolled = [a for a in outline.of("div") if a.get("class") == "scroll"]
    assert scrolled and all(a["tabindex"] == "0" and a["aria-label"] for a in scrolled)


def luminance(colour):
    channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.03928, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_enough_contrast_in_light_and_dark():
    css = files("payloadfield.report.page").joinpath("page.css").read_text()
    themes = [
        dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block)) for block in re.findall(r":root \{([^}]*#[^}]*)\}", css)[:2]
    ]
    assert len(themes) == 2
    for theme in themes:
        for text in ("ink", "accent"):
            for ground in ("paper", "soft"):
                assert contrast(theme[text], theme[ground]) >= 4.5, (theme, text, ground)


def test_the_same_runs_give_the_same_bytes(compared, page, tmp_path):
    again = tmp_path / "again.html"
    write_report([compared.folder], again)
    assert again.read_bytes() == page.read_bytes()
    assert again.with_suffix(".json").read_bytes() == page.with_suffix(".json").read_bytes()


def test_ranks_on_the_page_are_those_of_the_comparison(compared, outline):
    cells = [text for tag, text in outline.text if tag == "td"]
    for found in compared.ranks.values():
        order = [each.design for each in found]
        start = next(k for k in range(len(cells)) if cells[k : k + 2] == ["1", order[0]])
        assert order[1] in cells[start:]
        cells = cells[start + 2 :]


def test_inputs_of_every_design_are_listed_with_who_uses_them(compared):
    document = read_document([compared.folder])
    rows = {(row[1], row[2]): row[-1] for row in assumptions(document).rows}
    assert rows["agents.T-DXd.linker.kcat_over_km", "0.001 1/nM/s"] == "outside, amplified; outside, antigen lost"
    assert "all" in rows.values()
    assert sum(grades(document).values()) >= len({key for key, _ in rows})


def test_how_to_reproduce_is_the_command_that_was_given(compared):
    first, second = commands(read_document([compared.folder]))
    given = shlex.split(first)
    assert given[:2] == ["payloadfield", "compare"] and {
        "--samples=2",
        "--placements=1",
        "--dose=10",
        "--refine",
    } <= set(given)
    assert second == "payloadfield report again -o report.html"


def test_numbers_beside_the_page_are_those_of_the_metrics_file(compared):
    numbers = report_numbers(read_document([compared.folder]))
    lines = (compared.folder / "metrics.csv").read_text().splitlines()[1:]
    assert sum(len(case["metrics"]) for case in numbers["cases"]) == len(lines)
    json.dumps(numbers, allow_nan=False)


def test_a_run_that_was_cut_short_is_named_and_counted_nowhere(study, tmp_path):
    text = study.read_text().replace('name = "outside"\nset = {', 'name = "outside"\nset = { "solver.max_steps" = 3,')
    (tmp_path / "study.toml").write_text(text)
    compare_designs(Request(tmp_path / "study.toml"), tmp_path / "out")
    document = read_document([tmp_path / "out"])
    page = build_page(document)
    assert {case.design for case in document.main} == {"inside"}
    assert "outside, amplified" in page and "is failed" in page and "max_steps" in page
    summary = Outline(page)
    assert "outside" not in [text for tag, text in summary.text if tag == "td"][:8]


def test_hostile_names_stay_text(study, tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    text = (
        study.read_text().replace('"inside"', json.dumps(evil)).replace('"two linkers"', json.dumps(f"{evil} $x^2$ &"))
    )
    (tmp_path / "study.toml").write_text(text)
    compare_designs(Request(tmp_path / "study.toml"), tmp_path / "out")
    page = Outline(build_page(read_document([tmp_path / "out"])))
    assert not page.of("script") and not page.of("img")
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)
    assert any(evil in text for tag, text in page.text if tag == "td")


def small_runs(study, tmp_path, *overrides):
    made = []
    for index, each in enumerate(overrides):
        length = [] if any(item.startswith("duration=") for item in each) else ["duration=20 min"]
        resolved = load_study(study, [*length, "output.every=10 min", *each])
        made.append(simulate(resolved, tmp_path / f"run-{index}").directory)
    return made


def test_runs_of_one_geometry_make_a_report_by_themselves(study, tmp_path):
    runs = small_runs(study, tmp_path, ["title=first"], ["title=second", "agents.T-DXd.DAR=4"])
    document = read_document(runs)
    assert [case.design for case in document.cases] == ["first", "second"]
    assert "first" in build_page(document)


@pytest.mark.parametrize(
    ("override", "what"),
    [
        ("grid.voxel=5 um", "grid"),
        ("cells[0].count=7", "number of cells"),
        ("seed=3", "cells"),
        ("duration=30 min", "duration"),
    ],
)
def test_runs_of_different_studies_are_refused(study, tmp_path, override, what):
    runs = small_runs(study, tmp_path, [], [override])
    with pytest.raises(RunError, match=f"differs from .* in its {what}"):
        read_document(runs)


def test_what_is_no_run_is_refused(compared, tmp_path):
    with pytest.raises(RunError, match="not a run directory"):
        read_document([tmp_path])
    with pytest.raises(RunError, match="got a comparison"):
        read_document([compared.folder, compared.folder])
    with pytest.raises(RunError, match=r"a name that ends in \.html is needed"):
        write_report([compared.folder], tmp_path / "report.txt")


def test_a_pdf_without_a_browser_is_refused_and_the_page_is_there(compared, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "report.html"
    assert run_program(["report", str(compared.folder), "-o", str(out), "--pdf"]) == 1
    assert "no browser is here to print it" in capsys.readouterr().err
    assert out.exists()


def test_numbers_and_names_are_those_that_people_use():
    assert [metric("fraction_killed", value) for value in (0.4483, 0.00372, 7.7e-10, 1.0)] == [
        "44.8",
        "0.37",
        "0",
        "100.0",
    ]
    assert [number(value) for value in (np.inf, np.nan, 451234.0, -2.5)] == ["never", "–", "451234", "−2.5"]
    assert with_spread("fraction_killed", 0.5, (0.25, 0.75)) == "50.0 (25.0 to 75.0)"
    assert label("bound_payload_exposure_mean") == "mean exposure to payload bound to its target"
    assert label("payload_exposure_mean") == "mean exposure to free payload in cells"
    assert label("fraction_quiescent") == "quiescent" and label("own_field") == "own field"


def test_the_front_joins_what_no_other_design_beats():
    points = [(1.0, 0.2), (2.0, 0.5), (2.0, 0.4), (3.0, 0.5), (4.0, 0.9), (0.5, 0.1)]
    assert pareto_front(points) == [(0.5, 0.1), (1.0, 0.2), (2.0, 0.5), (4.0, 0.9)]


def test_bins_hold_equal_numbers_and_give_medians():
    centres, medians = binned(np.arange(80.0), np.arange(80.0) ** 2)
    assert len(centres) == 8 and np.all(np.diff(centres) == 10)
    assert medians[0] == np.median(np.arange(10.0) ** 2)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome is installed")
class TestInABrowser:
    """The page opened from its file in a real browser without a window."""

    def run(self, *flags):
        command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *flags]
        return subprocess.run(command, capture_output=True, timeout=120, check=True)

    @pytest.mark.parametrize("width", [1200, 390])
    def test_it_opens_without_errors_and_draws_something(self, page, tmp_path, width):
        from matplotlib.image import imread

        picture = tmp_path / "page.png"
        done = self.run(f"--window-size={width},1600", f"--screenshot={picture}", page.as_uri())
        assert b"CONSOLE" not in done.stderr
        pixels = imread(picture)
        assert pixels.shape[1] == width
        assert np.ptp(pixels[..., :3]) > 0.8 and len(np.unique(pixels[..., 0])) > 20

    def test_nothing_sticks_out_of_a_phone(self, page, tmp_path):
        probe = "<script>document.title = document.documentElement.scrollWidth</script></body>"
        text = page.read_text().replace("</body>", probe).replace("default-src 'none'", "script-src 'unsafe-inline'")
        copy_of_it = tmp_path / "probe.html"
        copy_of_it.write_text(text)
        done = self.run("--window-size=500,900", "--dump-dom", copy_of_it.as_uri())
        width = re.search(rb"<title>(\d+)</title>", done.stdout)
        assert width and int(width[1]) <= 500

    def test_it_prints_to_a_pdf(self, compared, tmp_path):
        made = write_report([compared.folder], tmp_path / "report.html", with_pdf=True)
        assert Path(made[-1]).read_bytes().startswith(b"%PDF-") and Path(made[-1]).stat().st_size > 20_000


def test_assumed_numbers_that_drive_a_result_are_named(page):
    assert "agents.T-DXd.payload.target.concentration = 65 nM" in page.read_text()
    assert re.search(r"<li>[^<]* of (SK-BR-3|fibroblast) changes by [+-]\d+%", page.read_text())
