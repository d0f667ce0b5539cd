"""What must hold of the objects whatever the values are."""

from . import objects, pods, secrets, security, workloads  # noqa: F401  (each registers its rules)
from .registry import RULES, faults

__all__ = ["RULES", "faults"]
