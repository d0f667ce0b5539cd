"""The parts of openapi_check.py."""
