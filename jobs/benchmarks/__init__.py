"""Benchmarks, one file a verb of `resp-agent benchmark`."""
