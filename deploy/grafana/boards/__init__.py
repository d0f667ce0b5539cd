"""The dashboards, one module each; `parts.py` has what they share."""
