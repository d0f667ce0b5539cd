"""What must hold of the objects whatever the values are."""

from . import objects, pods, secrets, security, workers, workloads  # noqa: F401  (each registers its rules)
from .registry import RULES, faults, rules_for

__all__ = ["RULES", "faults", "rules_for"]
