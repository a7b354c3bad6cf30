"""An agent that is a payload alone: what stands for its antibody and its linker in a mechanism of conjugates."""

from __future__ import annotations

from payloadfield.library import Quantity
from payloadfield.study.leaves import Leaf
from payloadfield.study.merged import Merged

CITATION = "none (no conjugate in this study)"

# Without antibody nothing binds, without linker nothing is lost; what divides is not zero.
_OF_AGENT = {
    "DAR": (1.0, "1"),
    "antibody.k_on": (0.0, "1/nM/s"),
    "antibody.KD": (1.0, "nM"),
    "linker.k_dec": (0.0, "1/s"),
    "linker.kcat_over_km": (0.0, "1/nM/s"),
    "linker.KM_protease": (1.0, "nM"),
    "linker.k_cleave": (0.0, "1/s"),
}
_OF_CELL = {
    "receptors": (0.0, "molecules"),
    "trafficking.k_endo": (0.0, "1/s"),
    "trafficking.k_rec": (0.0, "1/s"),
    "trafficking.k_deg": (1e-3, "1/s"),
}


def is_free_payload(agent: Merged | None) -> bool:
    """Whether an agent is a payload without antibody and linker."""
    return agent is not None and "payload" in agent.parts and not {"antibody", "linker"} & agent.parts


def of_agent(agent: Merged, path: str) -> Leaf | None:
    """What stands for a value of the conjugate that there is not."""
    if path == "antibody.diffusivity":  # of fields that stay empty
        path, of_payload = path, agent.leaves.get("payload.diffusivity")
        return _leaf(of_payload.quantity.value, of_payload.quantity.unit, path) if of_payload else None
    return _leaf(*_OF_AGENT[path], path) if path in _OF_AGENT else None


def of_cell(path: str) -> Leaf | None:
    """What stands for the receptor of an antibody that there is not."""
    return _leaf(*_OF_CELL[path], path) if path in _OF_CELL else None


def _leaf(value: float, unit: str, path: str) -> Leaf:
    return Leaf(Quantity(value, unit, None, None, "assumed", CITATION, "", "[A] without effect", path), "default")
