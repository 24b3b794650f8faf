"""Floor 0: descriptions, layers' contract, trees, shapes, keys and errors."""
