"""Matrix products that are computed in another way where they are large."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from denpa.kernels.product import sum_of_outer_products


@pytest.mark.parametrize("rows", [1, 7, 2048])
@pytest.mark.parametrize("kind", [np.float32, jnp.bfloat16])
def test_the_sum_of_outer_products_is_one_whatever_its_size(rows, kind):
    """The sum of whole numbers is exact in any order."""
    rng = np.random.default_rng(rows)
    x, delta = (rng.integers(0, 2, (rows, size)) for size in (9, 4))
    wanted = sum(np.outer(a, b) for a, b in zip(x, delta, strict=True))
    for product in (sum_of_outer_products, jax.jit(sum_of_outer_products)):
        np.testing.assert_array_equal(product(jnp.asarray(x, kind), jnp.asarray(delta, kind)), wanted.astype(kind))
