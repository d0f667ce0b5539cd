"""The parts of `sdk_matrix.py`: which versions there are, how to drive them, and what each of them must see.

`versions` fetches the published packages, `adapters` hides how their interfaces differ, `harness` is what a check is
written with, `checks/` holds the checks by subject, `one` runs them for one version, `table` prints the outcome.
"""
