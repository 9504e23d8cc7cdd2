"""What bench_model.py measures: cases, clocks and memory, the parts of the run, the table."""
