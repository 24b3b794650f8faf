"""The cases of tests/golden, a module for each folder there."""
