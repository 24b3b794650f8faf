"""Learning rates that change in time: each is a function of the number of updates made so far.

    eta = schedule(t),   t = 0, 1, 2, ...

For a convex error and gradients from random samples, the iterates converge if (Robbins and Monro
1951)

    sum_t eta(t) = infinity      (no distance is out of reach)
    sum_t eta(t)^2 < infinity    (the noise of the samples dies out)

`conditions()` says which of these a schedule keeps, `robbins_monro` whether it keeps both. Many good schedules break
one of them, since training stops after finitely many steps. Steps are updates; a field out of range is a ConfigError.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from denpa.core.checks import want_not_negative, want_positive
from denpa.core.description import Description
from denpa.core.errors import ConfigError

__all__ = [
    "ConstantRate",
    "CosineDecay",
    "ExponentialDecay",
    "InverseTime",
    "LinearDecay",
    "Schedule",
    "StepDecay",
    "WarmUp",
]


class Schedule(Description):
    """Base of all schedules. One of your own is a frozen dataclass that defines `__call__`.

    @dataclass(frozen=True)
    class HalfAfter(dp.schedules.Schedule):
        initial: float
        steps: int

        def __call__(self, step):
            return jnp.where(step < self.steps, self.initial, self.initial / 2)
    """

    _shelf: ClassVar[str] = "schedules."

    def __call__(self, step: Any) -> jax.Array:
        """The learning rate after `step` updates: a 0-based integer, or an array of them, each taken by itself."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(step) -> learning rate.")

    def conditions(self) -> tuple[bool, bool]:
        """Whether the rates of all steps sum to infinity, and whether their squares have a finite sum."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its sums do: define conditions().")

    @property
    def robbins_monro(self) -> bool:
        """Whether both conditions of Robbins and Monro hold."""
        return all(self.conditions())


@dataclass(frozen=True)
class ConstantRate(Schedule):
    """eta(t) = value: the same as giving the number itself.

    Breaks the second condition of Robbins and Monro: the noise of small batches never dies out.
    """

    value: float

    def validate(self) -> None:
        want_positive(self, "value")

    def __call__(self, step: Any) -> jax.Array:
        return jnp.full_like(_time(step), self.value)

    def conditions(self) -> tuple[bool, bool]:
        return True, False


@dataclass(frozen=True)
class InverseTime(Schedule):
    """eta(t) = initial / (1 + t/steps).

    With steps = 1 this is initial/1, initial/2, initial/3, ...; larger `steps` shrink it later. Keeps
    BOTH conditions of Robbins and Monro (1951). With initial = 1, steps = 1 and errors (w - x_n)^2 / 2
    the iterate is exactly the running mean of the x_n seen so far.
    """

    initial: float
    steps: int = 1

    def validate(self) -> None:
        want_positive(self, "initial")
        _check_steps(self)

    def __call__(self, step: Any) -> jax.Array:
        return self.initial / (1 + _time(step) / self.steps)

    def conditions(self) -> tuple[bool, bool]:
        return True, True


class _Towards(Schedule):
    """From `initial` to `final` in `steps` steps, then constant: its sums are decided by that constant."""

    initial: float
    final: float
    steps: int

    def validate(self) -> None:
        want_positive(self, "initial")
        want_not_negative(self, "final")
        _check_steps(self)

    def progress(self, step: Any) -> jax.Array:
        """t/T, and exactly 1 from t = T on: the division by T may be off in its last bit."""
        return jnp.where(_time(step) < self.steps, _time(step) / self.steps, 1.0)

    def conditions(self) -> tuple[bool, bool]:
        return self.final > 0, self.final == 0


@dataclass(frozen=True)
class LinearDecay(_Towards):
    """eta(t) = (t/T) final + (1 - t/T) initial  for t <= T,   eta(t) = final  for t >= T.

    A straight line in T = `steps` steps, then constant. With final > 0 it breaks the second condition of
    Robbins and Monro, with final = 0 the first.
    Source: Goodfellow, Bengio and Courville (2016), Deep Learning, eq. 8.14.
    """

    initial: float
    final: float
    steps: int

    def __call__(self, step: Any) -> jax.Array:
        done = self.progress(step)
        return done * self.final + (1 - done) * self.initial


@dataclass(frozen=True)
class CosineDecay(_Towards):
    """eta(t) = final + (initial - final) (1 + cos(pi t/T)) / 2  for t <= T,   final  for t >= T.

    Half a period of a cosine in T = `steps` steps; Robbins and Monro's conditions are as for `LinearDecay`.
    Source: Loshchilov and Hutter (2017), SGDR, eq. 5, without restarts.
    """

    initial: float
    final: float
    steps: int

    def __call__(self, step: Any) -> jax.Array:
        weight = 0.5 * (1 + jnp.cos(math.pi * self.progress(step)))
        return self.final + (self.initial - self.final) * weight


class _Geometric(Schedule):
    """Rates that shrink as a power of `factor`: both sums are finite, unless the factor is 1."""

    initial: float
    factor: float
    steps: int

    def validate(self) -> None:
        want_positive(self, "initial", "factor")
        _check_steps(self)
        if self.factor > 1:
            kind = type(self).__name__
            raise ConfigError(f"{kind}.factor must not exceed 1, not {self.factor!r}: to shrink to a tenth, give 0.1.")

    def conditions(self) -> tuple[bool, bool]:
        return self.factor == 1, self.factor < 1


@dataclass(frozen=True)
class StepDecay(_Geometric):
    """eta(t) = initial factor^floor(t/steps).

    The rate is multiplied by `factor` (0 < factor <= 1) after every `steps` steps. Below 1 its sum is finite,
    so it breaks the first condition of Robbins and Monro. Source: He et al. (2016), Deep Residual Learning
    for Image Recognition, section 3.4 (a tenth at a time), here at equal distances.
    """

    initial: float
    factor: float
    steps: int

    def __call__(self, step: Any) -> jax.Array:
        # Of integers: XLA divides by multiplying, and the quotient of exact multiples may come out below them.
        return self.initial * self.factor ** (jnp.asarray(step) // self.steps).astype(float)


@dataclass(frozen=True)
class ExponentialDecay(_Geometric):
    """eta(t) = initial factor^(t/steps).

    The rate shrinks by `factor` (0 < factor <= 1) over every `steps` steps, a little at each of them. Below 1
    its sum is finite, so it breaks the first condition of Robbins and Monro. Source: Senior, Heigold, Ranzato
    and Yang (2013), An empirical study of learning rates in deep neural networks for speech recognition.
    """

    initial: float
    factor: float
    steps: int = 1

    def __call__(self, step: Any) -> jax.Array:
        return self.initial * self.factor ** (_time(step) / self.steps)


@dataclass(frozen=True)
class WarmUp(Schedule):
    """eta(t) = start + (t/T) (schedule(0) - start)  for t < T,   eta(t) = schedule(t - T)  for t >= T.

    A straight climb in T = `steps` steps to where `schedule` (a number, or another schedule) begins. With
    start = 0 the very first update is zero. The conditions of Robbins and Monro are those of `schedule`.
    Source: Goyal et al. (2017), Accurate, Large Minibatch SGD, section 2.2 (gradual warmup).
    """

    schedule: float | Schedule
    steps: int
    start: float = 0.0

    def validate(self) -> None:
        if isinstance(self.schedule, bool) or not isinstance(self.schedule, (Schedule, float, int)):
            raise ConfigError(
                "WarmUp.schedule must be a rate such as 0.1 or a schedule such as CosineDecay(0.1, 0.0, 100), not "
                f"{self.schedule!r}."
            )
        if not isinstance(self.schedule, Schedule):
            want_positive(self, "schedule")
        want_not_negative(self, "start")
        _check_steps(self)

    @property
    def after(self) -> Schedule:
        """The schedule that follows the climb."""
        return self.schedule if isinstance(self.schedule, Schedule) else ConstantRate(self.schedule)

    def __call__(self, step: Any) -> jax.Array:
        step = jnp.asarray(step)
        climb = self.start + _time(step) / self.steps * (self.after(0) - self.start)
        return jnp.where(step < self.steps, climb, self.after(jnp.maximum(step - self.steps, 0)))

    def conditions(self) -> tuple[bool, bool]:
        return self.after.conditions()


def _check_steps(schedule: Any) -> None:
    if not 1 <= schedule.steps < 2**31:
        limit = "" if schedule.steps < 1 else " below 2**31"
        raise ConfigError(
            f"{type(schedule).__name__}.steps must be a positive whole number{limit}, not {schedule.steps!r}. It "
            "counts parameter updates: one epoch has as many as there are batches."
        )


def _time(step: Any) -> jax.Array:
    """The step as a floating-point number of JAX's default precision."""
    return jnp.asarray(step).astype(float)
