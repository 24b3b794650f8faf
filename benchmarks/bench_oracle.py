"""The hand-written backward pass against `jax.grad` of the same forward pass, in the same compiled program.

    python benchmarks/bench_oracle.py

Both contestants run denpa's own training program, a loop over many steps with gathering, update and logs; one takes
its gradients from the layers' `backward`, the other from `jax.value_and_grad` of the layers' `forward` and the loss.
A ratio of 1 or more says that writing the rules out costs nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

from harness import report
from harness.machine import describe, pin
from harness.options import parser, settle
from harness.timing import Times, alternate, compare, seconds_of
from harness.work import WORKS, Work, as_floats, data_of

_CHUNK_SECONDS = 0.3
_TRIAL_STEPS = 4


def main() -> None:
    options = settle(parser(__doc__, rounds=15).parse_args())
    about = describe(options.threads)
    pin(options.threads)
    works = [work.smaller() if options.quick else work for work in WORKS]
    results = [measure(work, options) for work in works]
    report.write("oracle", options, about, results, text(results))


def measure(work: Work, options: argparse.Namespace) -> dict[str, Any]:
    """Both ways on one network."""
    report.say(work.title)
    from denpa.training.program import Recipe

    steps, chunks, ends = 0, {}, []
    for name, kind in (("written", Recipe), ("autodiff", autodiff_recipe())):
        chunk = program(kind, work)
        ends.append(chunk(_TRIAL_STEPS))
        if not steps:  # the first decides how long the chunks of both are
            each = seconds_of(lambda chunk=chunk: chunk(_TRIAL_STEPS)) / _TRIAL_STEPS
            steps = _TRIAL_STEPS if options.quick else max(_TRIAL_STEPS, min(int(_CHUNK_SECONDS / each), work.steps))
        chunks[name] = chunk
    turns = {
        name: lambda chunk=chunk, steps=steps: seconds_of(lambda: chunk(steps)) / steps
        for name, chunk in chunks.items()
    }
    times = alternate(turns, options.rounds)
    return {
        "work": work.to_json(),
        "title": work.title,
        "steps_per_turn": steps,
        "ms_per_step": {name: Times(taken.values * 1e3).to_json() for name, taken in times.items()},
        "autodiff_against_written": compare(times["autodiff"], times["written"]),
        "losses_differ_by": float(np.max(np.abs(ends[0] / ends[1] - 1))),
    }


def autodiff_recipe() -> Any:
    """A recipe like denpa's whose gradients come from automatic differentiation."""
    import jax

    from denpa.core.layer import Context
    from denpa.gradients import Step
    from denpa.training.program import Recipe

    class Autodiff(Recipe):
        def gradients(self, run: Any, statistics: Any, x: Any, t: Any, weight: Any) -> Any:
            ctx = Context(True, jax.random.fold_in(run.key, run.step), run.state)

            def objective(params: Any) -> Any:
                y, saved = self.net.forward(params, self.prepare(statistics, x), ctx)
                return self.loss.value(y, t, weight), (y, self.net.next_state(run.state, saved))

            (error, (y, state)), grads = jax.value_and_grad(objective, has_aux=True)(run.params)
            return Step(error, y, grads, None, state, 0.0), grads

    return Autodiff


def program(kind: Any, work: Work) -> Callable[[int], np.ndarray]:
    """A function that trains so many steps from the initial parameters and returns their losses."""
    import jax
    import jax.numpy as jnp

    import denpa as dp
    from denpa.training.program import Programs
    from peers.denpa_fit import network

    net = network(work.sizes, work.activation, work.batch_norm)
    programs = Programs(kind(net, dp.SoftmaxCrossEntropy(), dp.Adam(1e-3)))
    x, t, _ = data_of(work)
    data = jnp.asarray(as_floats(x)), jnp.asarray(t), None
    order = np.random.default_rng(0).integers(0, len(x), (work.steps, work.batch)).astype(np.int32)
    run = programs.init(np.uint32(0), (work.sizes[0],))

    def chunk(steps: int) -> np.ndarray:
        _, logs, _ = jax.block_until_ready(programs.train(run, None, data, order, np.int32(steps)))
        return np.asarray(logs["loss"])[:steps]

    return chunk


def text(results: list[dict[str, Any]]) -> str:
    """The table."""
    rows = []
    for result in results:
        ratio = result["autodiff_against_written"]
        taken = [result["ms_per_step"][name] for name in ("written", "autodiff")]
        cells = [f"{report.show(t['median'])} ({' to '.join(map(report.show, t['quartiles']))})" for t in taken]
        ratios = [report.show(ratio[name]) for name in ("ratio_of_medians", "median_of_paired_ratios")]
        rows.append([result["title"], *cells, *ratios])
    head = [
        "",
        "written out, ms a step (quartiles)",
        "`jax.grad`, ms a step (quartiles)",
        "`jax.grad` / written out",
        "by rounds",
    ]
    apart = max(result["losses_differ_by"] for result in results)
    said = f"Over the first {_TRIAL_STEPS} steps the losses of the two differ by at most {apart:.0e} of their size."
    return f"{report.table(head, rows)}\n\n{said}"


if __name__ == "__main__":
    main()
