"""What the tests of the Helm chart lean on: Helm itself, the objects it writes, the rules they must keep, a small cluster."""
