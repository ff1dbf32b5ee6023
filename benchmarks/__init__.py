"""Scripts that print ratios from one run; see docs/benchmarks.md."""
