from __future__ import annotations

import importlib.util

# Parquet is an extra: its tests are collected where pyarrow is installed, as it is for development.
collect_ignore = [] if importlib.util.find_spec("pyarrow") else ["test_parquet.py"]
