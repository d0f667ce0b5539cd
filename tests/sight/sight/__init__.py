"""What operators look at: metrics, alerts, dashboards, runbook. `written.py` holds the files together, `running.py`
holds them against a bus that runs."""
