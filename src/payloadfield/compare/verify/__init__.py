"""The targets of the literature, as small studies that come with payloadfield, and the checks of their results."""

from payloadfield.compare.verify.checks import RULES, Check, as_markdown, row_of
from payloadfield.compare.verify.targets import TARGETS, Target, find_targets, verify

__all__ = ["RULES", "TARGETS", "Check", "Target", "as_markdown", "find_targets", "row_of", "verify"]
