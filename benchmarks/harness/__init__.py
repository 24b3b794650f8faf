"""What all benchmarks share: the timer, the work, the workers, the machine's description, the results."""
