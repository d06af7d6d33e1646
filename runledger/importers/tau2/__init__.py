"""Results of tau2-bench as runs."""
