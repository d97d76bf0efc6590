"""Benchmarks: ratios of two ways to the same end, measured side by side in one run. See docs/benchmarks.md."""
