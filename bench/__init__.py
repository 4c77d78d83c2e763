"""Benchmarks against real servers: ``scripts/bench NAME``."""
