"""Encore beside its peers: `make bench-<name>`. docs/benchmarks.md tells how to read it."""
