"""What minigrad promises about time and memory, measured. Run `python -m benchmarks`."""
