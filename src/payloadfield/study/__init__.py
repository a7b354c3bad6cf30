"""Studies: the schema of study.toml, its merge with the library, and the resolved `Study`."""

from payloadfield.study.load import load_study
from payloadfield.study.study import Bath, Event, OutputSettings, SolverSettings, Source, Study

__all__ = ["Bath", "Event", "OutputSettings", "SolverSettings", "Source", "Study", "load_study"]
