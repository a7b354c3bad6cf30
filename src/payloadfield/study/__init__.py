"""Studies: the schema of study.toml, its merge with the library, and the resolved `Study`."""

from payloadfield.study.curve import Curve, Decay, Tabulated
from payloadfield.study.designs import Design, load_designs, make_variants, read_variants
from payloadfield.study.load import load_study
from payloadfield.study.study import Bath, Event, OutputSettings, SolverSettings, Source, Study

__all__ = [
    "Bath", "Curve", "Decay", "Design", "Event", "OutputSettings", "SolverSettings", "Source", "Study", "Tabulated",
    "load_designs", "load_study", "make_variants", "read_variants",
]  # fmt: skip
