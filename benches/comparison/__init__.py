"""The parts of `benches/compare`: Postgres, processes, contenders, the table. Python 3.11, standard library only."""
