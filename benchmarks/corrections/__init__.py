"""What bench_corrections.py compares and how it judges: the variants, the parts of a run, the tables."""
