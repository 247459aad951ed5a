"""The conductor of the benchmarks: who is measured, with what, how, and what comes of it."""
