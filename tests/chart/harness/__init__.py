"""What the tests of the chart lean on: Helm, the objects that it writes, the rules that they keep, a small cluster."""
