"""Surfaces of two weights and the paths on them; the error of a network over a plane of its parameters."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from matplotlib import rc_context

import denpa as dp
from denpa.lab.figures import loss_surface_picture, paths_animation, paths_picture
from denpa.lab.landscapes import SURFACES, Cliff, Plateau, Saddle, Valley, contestants, trajectory
from denpa.lab.loss_surface import LossSurface, loss_surface, plane_through, principal_directions, random_direction


@pytest.mark.parametrize("name", SURFACES)
def test_the_gradient_is_that_of_the_formula(name):
    surface = SURFACES[name]
    rng = np.random.default_rng(3)
    low, high = np.transpose(surface.window)
    points = rng.uniform(low, high, (40, 2))
    if name == "cliff":
        points = points[np.abs(points[:, 0] - 1) > 1e-3]  # it has a kink there
    h = 1e-6
    moves = np.concatenate([np.zeros((1, 2)), h * np.eye(2), -h * np.eye(2)])[:, None]

    @jax.jit
    def looked_at(w):
        return surface.value(w), surface.gradient(w[0]), jax.vmap(jax.grad(surface.value))(w[0])

    with jax.enable_x64(True):
        E, exact, by_jax = map(np.asarray, looked_at(points + moves))
    np.testing.assert_allclose(exact, ((E[1:3] - E[3:]) / (2 * h)).T, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose(exact, by_jax, rtol=1e-12, atol=1e-12)
    assert E.min() >= surface.lowest


def test_the_surfaces_are_what_they_are_called():
    slopes = [np.asarray(s.gradient(jnp.array([w, 0.0])))[0] for s, w in ((Plateau(), 10.0), (Cliff(500.0), 1.001))]
    np.testing.assert_allclose(slopes, [4.54e-5, 500], rtol=1e-3)
    assert Saddle(0.25).value(np.array([0.0, 2.0])) == Saddle(0.25).lowest == -1
    with pytest.raises(dp.ConfigError, match="below 0"):
        Saddle(-1.0)
    with pytest.raises(dp.ConfigError):
        Valley(0.0)
    assert dp.from_config(dp.to_config(Valley(9.0))) == Valley(9.0)


def test_gradient_descent_bounces_in_the_valley_and_momentum_does_not():
    plain = trajectory(Valley(), dp.SGD(0.079), steps=50)
    heavy = trajectory(Valley(), dp.Momentum(0.079, 0.5, normalized=True), steps=50)
    assert plain.shape == heavy.shape == (51, 2)
    np.testing.assert_allclose(plain[-1], [10 * 0.921**50, (1 - 25 * 0.079) ** 50], rtol=1e-4)  # in closed form
    assert (np.diff(np.sign(plain[:, 1])) != 0).sum() == 50
    assert (np.diff(np.sign(heavy[:, 1])) != 0).sum() == 19
    assert Valley().value(heavy[-1]) == pytest.approx(0.0069, abs=1e-4)


def test_one_step_on_the_cliff_throws_away_and_clipping_does_not():
    thrown = trajectory(Cliff(), dp.SGD(0.1), (1.001, 0.0), 1)
    clipped = trajectory(Cliff(), dp.chain(dp.ClipByNorm(1.0), dp.SGD(0.1)), (1.001, 0.0), 1)
    assert thrown[1, 0] - thrown[0, 0] == pytest.approx(-100)
    assert clipped[1, 0] - clipped[0, 0] == pytest.approx(-0.1)


def test_the_saddle_holds_whom_nothing_pushes():
    pure = Saddle(0.0)
    path = trajectory(pure, dp.SGD(0.1), (1.0, 1e-6), 150)
    assert np.argmax(np.abs(path[:, 1]) > 1) == 145
    held = trajectory(pure, dp.SGD(0.1), (1.0, 0.0), 150)
    assert held[-1, 1] == 0
    assert abs(held[-1, 0]) < 1e-6
    kicked = [trajectory(pure, dp.SGD(0.1), (1.0, 0.0), 150, noise=1e-3, seed=seed)[-1, 1] for seed in (0, 1, 0)]
    assert min(np.abs(kicked)) > 1
    assert kicked[0] == kicked[2] != kicked[1]


def test_nesterov_looks_ahead_on_its_path():
    surface, w, v = Valley(), np.array([1.5, -1.0]), np.zeros(2)
    path = trajectory(surface, dp.Nesterov(0.05, 0.8, lookahead=True), w, 12)
    for point in path[1:]:
        v = 0.8 * v - 0.05 * np.asarray(surface.gradient(jnp.asarray(w + 0.8 * v, jnp.float32)))
        w = w + v
        np.testing.assert_allclose(point, w, rtol=1e-4, atol=1e-5)


def test_optimisers_of_optax_take_the_same_path():
    ours = trajectory(Valley(), dp.chain(dp.ClipByNorm(1.0), dp.Momentum(0.3, 0.7)), steps=20)
    theirs = trajectory(Valley(), optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.3, 0.7)), steps=20)
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_what_is_no_path_is_refused():
    for options, words in (
        ({"start": (1.0,)}, "two finite numbers"),
        ({"start": (1.0, np.nan)}, "two finite numbers"),
        ({"steps": 0}, "steps must be a whole number, 1 or more"),
        ({"noise": -1.0}, "standard deviation"),
        ({"noise": np.inf}, "standard deviation"),
    ):
        with pytest.raises(dp.ConfigError, match=words):
            trajectory(Valley(), dp.SGD(0.1), **options)
    with pytest.raises(dp.ConfigError, match="did you mean 'valley'"):
        trajectory("vally", dp.SGD(0.1))
    with pytest.raises(dp.ConfigError, match="no optimiser"):
        trajectory(Valley(), "adam")


def test_the_picture_of_paths_moves_and_stands_still(tmp_path):
    from PIL import Image

    t = np.linspace(0, 1, 9)[:, None]
    paths = {"sgd": np.array([10.0, 1.0]) * (1 - t), "clipped-sgd": np.array([10.0, 1.0]) * (1 - t / 2)}
    paths["diverged"] = np.where(t < 0.5, paths["sgd"], np.inf)
    figure = paths_picture(Valley(), paths, tmp_path / "paths.png")
    assert (tmp_path / "paths.png").stat().st_size > 10_000
    _, beside = figure.axes
    assert [line.get_label() for line in beside.lines] == list(paths)
    np.testing.assert_allclose(beside.lines[0].get_ydata(), (1 - t[:, 0]) ** 2 * 62.5, rtol=1e-5)
    assert len(beside.lines[2].get_ydata()) == 4
    assert beside.lines[0].get_color() == beside.lines[1].get_color() != beside.lines[2].get_color()
    assert [line.get_linestyle() for line in beside.lines] == ["-", "--", "-"]
    frames = Image.open(io.BytesIO(paths_animation(Valley(), paths)))
    assert frames.n_frames == 9
    with pytest.raises(dp.ConfigError, match="told apart"):
        paths_picture(Valley(), {str(i): paths["sgd"] for i in range(8)})


def test_an_error_that_grows_is_drawn_as_one():
    """The start is at the bottom where every path diverges, and no axis stands on its head."""
    path = trajectory(Valley(), dp.SGD(5.0), steps=60)
    axes = paths_picture(Valley(), {"sgd": path}).axes[1]
    low, high = axes.get_ylim()
    assert low <= Valley().value(path[0]) <= high
    heights = axes.get_lines()[0].get_ydata()
    assert (np.diff(heights) > 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("surface", [Valley(), Saddle(), Saddle(0.0)])
def test_paths_that_begin_where_nothing_pulls_are_drawn_as_they_are(surface):
    low, high = paths_picture(surface, {"sgd": trajectory(surface, dp.SGD(0.1), (0.0, 0.0), 9)}).axes[1].get_ylim()
    assert low < high


def test_contestants_have_one_rate_when_asked():
    assert contestants(Valley(), 0.3)["adam"] == dp.Adam(0.3)
    assert contestants(Valley(), 0.3)["clipped-sgd"] == dp.chain(dp.ClipByNorm(1.0), dp.SGD(0.3))


@pytest.fixture(scope="module")
def trained():
    """A linear regression with one output, its data, and the parameters met on the way."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2)).astype(np.float32)
    t = (x @ np.array([[1.0], [-2.0]], np.float32) + 0.5).astype(np.float32)
    way = []
    model = dp.Model([dp.Dense(1)], dp.MeanSquaredError(), dp.SGD(0.05), penalty=dp.L2(0.1))
    keep = [lambda training: way.append(training.model.variables.params)]
    model.fit((x, t), epochs=6, batch_size=20, callbacks=keep, verbose=False)
    return model, (x, t), way


def tree_of(W, b):
    return {"0_dense": {"W": jnp.array(W, jnp.float32).reshape(2, 1), "b": jnp.array([b], jnp.float32)}}


def test_the_loss_surface_is_the_objective_at_each_point(trained):
    model, (x, t), _ = trained
    directions = tree_of([1.0, 0.5], 0.0), tree_of([0.0, 1.0], -1.0)
    surface = loss_surface(model, (x, t), directions, span=(-0.5, 1.0), resolution=3)
    params = jax.tree.map(np.asarray, model.variables.params)["0_dense"]
    for row, b in enumerate(surface.b):
        for column, a in enumerate(surface.a):
            W = params["W"] + a * np.array([[1.0], [0.5]]) + b * np.array([[0.0], [1.0]])
            error = 0.5 * np.mean((x @ W + params["b"] - b - t) ** 2) + 0.1 / 2 * np.sum(W**2)
            assert surface.errors[row, column] == pytest.approx(error, rel=1e-4)
    assert surface.a.tolist() == [-0.5, 0.25, 1.0]
    moved = jax.tree.map(lambda p, d1, d2: p + 0.3 * d1 - 0.7 * d2, model.variables.params, *directions)
    np.testing.assert_allclose(surface.project(moved), (0.3, -0.7), rtol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_middle_of_a_loss_surface_is_what_evaluate_says(reduction):
    """With a penalty, prices on activities, weights, and more examples than are measured together."""
    rng = np.random.default_rng(3)
    x, t = rng.normal(size=(3000, 2)).astype("float32"), rng.normal(size=(3000, 1)).astype("float32")
    model = dp.Model(
        [dp.Dense(3), dp.ActivityL1(0.3), dp.Dense(1)], dp.MeanSquaredError(reduction=reduction), penalty=dp.L2(0.5),
        in_shape=(2,),
    )  # fmt: skip
    for data in ((x, t), (x, t, rng.uniform(0, 3, 3000).astype("float32"))):
        surface = loss_surface(model, data, resolution=3)
        assert surface.errors[1, 1] == pytest.approx(model.evaluate(data)["loss"], rel=1e-5)


def test_two_random_directions_differ(trained):
    model, data, _ = trained
    one, other = (np.ravel(d["0_dense"]["W"]) for d in loss_surface(model, data, resolution=2).directions)
    assert np.abs(one - other).max() > 0.01


def test_random_directions_are_as_large_as_the_weights_filter_by_filter():
    rng = np.random.default_rng(1)
    shapes = {"conv2d": (2, 2, 5, 3), "dense": (27, 4)}
    params = {name: {"W": rng.normal(size=shape), "b": rng.normal(size=shape[-1])} for name, shape in shapes.items()}
    params = jax.tree.map(jnp.float32, params)
    direction = random_direction(params, 2)
    for layer in shapes:
        W, d = np.asarray(params[layer]["W"]), np.asarray(direction[layer]["W"])
        axes = tuple(range(W.ndim - 1))
        np.testing.assert_allclose((d**2).sum(axes), (W**2).sum(axes), rtol=1e-5)
        assert abs((W * d).sum() / (W**2).sum()) < 0.7
        assert not np.any(direction[layer]["b"])


def test_planes_through_points_and_along_the_way(trained):
    model, _, way = trained
    here, second, third = model.variables.params, tree_of([3.0, 1.0], 0.2), tree_of([0.4, -1.0], 2.0)
    surface = loss_surface(model, trained[1], plane_through(here, second, third), resolution=3)
    np.testing.assert_allclose(surface.project(second), (1, 0), atol=1e-6)
    assert surface.project(third)[1] == pytest.approx(1)
    directions, shares = principal_directions(way)
    assert 0.99 < sum(shares) <= 1 + 1e-6
    assert shares[0] > shares[1]
    points = np.array([loss_surface(model, trained[1], directions, resolution=3).project(params) for params in way])
    np.testing.assert_allclose(np.abs(points).max(axis=0), 1, rtol=1e-4)
    with pytest.raises(dp.ConfigError, match="one line"):
        plane_through(here, second, second)
    corners = [tree_of([3.0, 0.0], 0.0), tree_of([0.0, 2.0], 0.0), tree_of([0.0, 0.0], 1.0), tree_of([0.0, 0.0], 0.0)]
    np.testing.assert_allclose(principal_directions(corners)[1], (9 / 14, 4 / 14), rtol=1e-6)
    with pytest.raises(dp.ConfigError, match="3 points"):
        principal_directions(way[:2])
    with pytest.raises(dp.ConfigError, match="straight line"):
        principal_directions([here] * 4)


def test_parameters_may_be_small_for_a_plane():
    points = tree_of([0.0, 0.0], 0.0), tree_of([1e-9, 0.0], 0.0), tree_of([1e-9, 2e-9], 0.0)
    one, other = plane_through(*points)
    np.testing.assert_allclose(one["0_dense"]["W"], [[1e-9], [0]])
    np.testing.assert_allclose(other["0_dense"]["W"], [[0], [2e-9]], atol=1e-15)


def test_what_is_no_surface_is_refused(trained, tmp_path):
    model, data, _ = trained
    other = {"0_dense": {"W": jnp.zeros((2, 3)), "b": jnp.zeros(1)}}
    with pytest.raises(dp.ConfigError, match=r"0_dense/W is \(2, 3\) there and \(2, 1\) here"):
        loss_surface(model, data, (other, other))
    for span in (0.0, (1.0,), (0.0, 1.0, 2.0), (1.0, -1.0), (0.0, np.inf), ("a", "b"), "wide", None, True):
        with pytest.raises(dp.ConfigError, match=r"span is a positive number .*, not "):
            loss_surface(model, data, span=span)
    assert loss_surface(model, data, span=np.float32(2), resolution=2).b.tolist() == [-2, 2]
    for resolution in (1, True, 2.0):
        with pytest.raises(dp.ConfigError, match=f"resolution must be a whole number, 2 or more, not {resolution}"):
            loss_surface(model, data, resolution=resolution)
    with pytest.raises(dp.ConfigError, match="no parameters"):
        loss_surface(dp.Model([dp.Dense(1)], dp.MeanSquaredError()), data)


@pytest.mark.parametrize(("most", "logarithmic"), [(19.0, False), (1000.0, True)])
def test_a_surface_of_many_magnitudes_has_a_logarithmic_relief(most, logarithmic):
    axis = np.linspace(-1, 1, 3)
    errors = np.linspace(1, most, 9).reshape(3, 3)
    relief = loss_surface_picture(LossSurface(axis, axis, errors, {}, ({}, {}))).axes[1]
    assert relief.get_title() == ("$\\log_{10} E$" if logarithmic else "$E$")
    low, high = relief.get_zlim()
    assert low < 0.1 if logarithmic else low < 1.5
    assert 3 <= high < 3.5 if logarithmic else 19 <= high < 21


@pytest.mark.parametrize("height", [0.0, 0.7])
def test_a_surface_without_any_slope_is_drawn_as_a_plain(height):
    """As that of a network all of whose units are dead, or whose random directions are all 0."""
    axis, errors = np.linspace(-1, 1, 3), np.full((3, 3), height)
    errors[0, 0] = np.nan
    figure = loss_surface_picture(LossSurface(axis, axis, errors, {}, ({}, {})))
    assert figure.axes[0].get_xlim() == (-1, 1)
    np.testing.assert_allclose(figure.axes[1].collections[0].get_array(), height)
    with pytest.raises(dp.ConfigError, match="No error of this surface is finite"):
        loss_surface_picture(LossSurface(axis, axis, np.full((3, 3), np.inf), {}, ({}, {})))


def test_the_picture_of_a_loss_surface_shows_way_and_marks(trained, tmp_path):
    model, data, way = trained
    surface = loss_surface(model, data, seed=3, resolution=3)
    surface.errors[0, 0] = np.inf
    points = [surface.project(params) for params in way]
    figure = loss_surface_picture(surface, tmp_path / "surface.png", way=points, marks={"here": (0.2, 0.3)})
    assert (tmp_path / "surface.png").stat().st_size > 10_000
    contours = figure.axes[0]
    np.testing.assert_allclose(np.transpose(contours.lines[0].get_data()), points)
    assert "here" in [text.get_text() for text in contours.texts]
    with rc_context({"svg.fonttype": "none"}):
        figure.savefig(tmp_path / "surface.svg")
    assert ">here</text>" in (tmp_path / "surface.svg").read_text()  # can be read, searched and translated
