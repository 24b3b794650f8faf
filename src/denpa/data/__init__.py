"""Floor 1: data sets, the user's own files, checks and normalisation, in NumPy."""
