"""The benchmarks run: one contestant, one small network, no time asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_smoke_run_of_the_training_benchmark_writes_its_results(tmp_path):
    script = ROOT / "benchmarks" / "bench_training.py"
    arguments = ["--quick", "--works", "letters", "--peers", "denpa", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    written = json.loads((tmp_path / "training.json").read_text("utf-8"))
    assert written["arguments"]["quick"] is True
    assert {"date", "cpu", "cores", "threads", "versions"} <= written.keys()
    (result,) = written["results"]
    assert result["steps_per_call"] == 8
    # 12-3-2, batch 100: three products of 100 x 3 x 2, two of 100 x 12 x 3; 3 * (12 + 1) + 2 * (3 + 1) parameters
    assert result["flops_per_step"] == 2 * 100 * (3 * 3 * 2 + 2 * 12 * 3)
    assert result["bytes_per_step"] == 24 * (3 * 13 + 2 * 4) + 100 * (12 * 4 + 4)
    denpa = result["peers"]["denpa"]
    assert len(denpa["ms_per_step"]["rounds"]) == 2
    assert denpa["ms_per_step"]["median"] > 0 < denpa["peak_memory_mib"]
    assert denpa["against_denpa"]["ratio_of_medians"] == 1
    assert len(denpa["losses"]) == 2
    assert "denpa, `Model.fit`" in (tmp_path / "training.md").read_text("utf-8")
