from __future__ import annotations

from collections import Counter

import jax
import numpy as np
import pytest

import denpa as dp

LETTERS = dp.Vocabulary.of("abcde")
UNKNOWN = dp.Vocabulary.of("abcd", special=("unknown",))


@pytest.fixture(scope="module")
def model():
    """A language model of five tokens with random weights, large ones, so that what went before matters."""
    net = [dp.Embedding(5, 4), dp.RNN(6, return_sequences=True), dp.Dropout(0.5), dp.Dense(5)]
    model = dp.Model(net, loss=dp.SoftmaxCrossEntropy(), in_shape=(10,), seed=2)
    params = {name: {k: 4 * v for k, v in part.items()} for name, part in model.variables.params.items()}
    model.variables = model.variables._replace(params=params)
    return model


def expected(model, text):
    """The probabilities of the token behind each of `text`, by the whole sequence at once."""
    numbers = np.zeros((1, 10), np.int32)
    numbers[0, : len(text)] = LETTERS.encode(text)
    logits = np.asarray(model.predict(numbers)[0, : len(text)], np.float64)
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def test_greedy_is_the_likeliest_token_after_all_before_it(model):
    text = dp.sample(model, LETTERS, "cab", 8, temperature=0)
    likeliest = expected(model, "cab" + text[:-1]).argmax(axis=-1)
    assert LETTERS.decode(likeliest[2:]) == text
    assert len(set(text)) > 1
    for small in (1e-3, 2e-38, 5e-324):
        assert dp.sample(model, LETTERS, "cab", 8, temperature=small, seed=5) == text


@pytest.mark.parametrize(("temperature", "top_k"), [(1.0, None), (2.0, 3), (4.0, 4)])
def test_tokens_are_drawn_by_the_temperature_among_the_likeliest(model, temperature, top_k):
    p = expected(model, "cab")[-1] ** (1 / temperature)
    if top_k is not None:
        p[np.argsort(p)[:-top_k]] = 0
    p /= p.sum()
    drawn = Counter(
        dp.sample(model, LETTERS, "cab", 8, temperature=temperature, top_k=top_k, seed=seed)[0] for seed in range(400)
    )
    share = np.array([drawn[letter] / 400 for letter in LETTERS.tokens])
    assert np.all((share > 0) <= (p > 0))
    np.testing.assert_allclose(share, p, atol=4 * np.sqrt(0.25 / 400))
    assert p.max() < 0.9


def test_the_seed_decides_and_the_prompt_is_read(model):
    one = dp.sample(model, LETTERS, "cab", 8, temperature=2.0, seed=1)
    assert one == dp.sample(model, LETTERS, "cab", 8, temperature=2.0, seed=1)
    assert one != dp.sample(model, LETTERS, "cab", 8, temperature=2.0, seed=2)
    assert one != dp.sample(model, LETTERS, "bbe", 8, temperature=2.0, seed=1)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**20, 1.5, True])
def test_an_impossible_seed_is_refused(model, seed):
    with pytest.raises(dp.ConfigError, match="seed must be an integer from 0 to 2"):
        dp.sample(model, LETTERS, "cab", 8, seed=seed)


def test_what_has_no_writing_is_not_drawn_and_an_end_ends(model):
    texts = [dp.sample(model, UNKNOWN, "aßb", 8, temperature=50.0, seed=seed) for seed in range(20)]
    assert {len(text) for text in texts} == {8}  # "<unk>" would be longer
    assert set("".join(texts)) == set("abcd")
    silent = dp.Vocabulary.of("abc", special=("padding", "start"))
    texts = [dp.sample(model, silent, "ab", 8, temperature=1e300, seed=seed) for seed in range(10)]
    assert {len(text) for text in texts} == {8}  # neither has a writing at all
    ending = dp.Vocabulary.of("abcd", special=("end",))
    texts = [dp.sample(model, ending, "abc", 8, temperature=50.0, seed=seed) for seed in range(20)]
    assert min(map(len, texts)) < 5
    assert set("".join(texts)) == set("abcd")


def test_the_text_ends_right_before_the_end_token():
    """A model that writes the token after the one it has read: a b c </s>."""
    vocabulary = dp.Vocabulary.of("abc", special=("end",))
    net = [dp.Embedding(4, 4), dp.RNN(4, activation="identity", return_sequences=True)]
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), in_shape=(5,))
    embedding, recurrent = jax.tree.map(np.zeros_like, model.variables.params).items()
    embedding[1]["W"] = np.eye(4, dtype=np.float32)
    recurrent[1]["Wx"] = 9 * np.roll(embedding[1]["W"], 1, axis=1)  # 1 -> 2 -> 3 -> 0, the end
    model.variables = model.variables._replace(params=dict([embedding, recurrent]))
    assert dp.sample(model, vocabulary, "a", 10, temperature=0) == "bc"
    assert dp.sample(model, vocabulary, "c", 10, temperature=0) == ""


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"prompt": ""}, dp.DataError, "prompt is empty: give at least one character"),
        ({"prompt": "axe"}, dp.DataError, r"character 'x' \(number 2"),
        ({"length": 0}, dp.ConfigError, "length must be a whole number, 1 or more, not 0"),
        ({"seed": -1}, dp.ConfigError, "seed must be"),
        ({"temperature": -0.5}, dp.ConfigError, r"temperature must be .* not -0\.5"),
        ({"temperature": float("nan")}, dp.ConfigError, "not nan"),
        ({"temperature": -(10**400)}, dp.ConfigError, "temperature must be"),
        ({"top_k": 0}, dp.ConfigError, "from 1 to the 5 tokens, not 0"),
        ({"top_k": 6}, dp.ConfigError, "from 1 to the 5 tokens, not 6"),
        ({"vocabulary": dp.Vocabulary.of("abc")}, dp.ConfigError, "no language model of 3 tokens"),
    ],
)
def test_what_makes_no_text_is_refused(model, options, error, words):
    given = {"vocabulary": LETTERS, "prompt": "a", "length": 3} | options
    with pytest.raises(error, match=words):
        dp.sample(model, **given)
    with pytest.raises(dp.ConfigError, match="drawn from a Model with its Vocabulary, not from 3"):
        dp.sample(3, **given)


def test_a_model_without_parameters_writes_nothing():
    with pytest.raises(dp.ConfigError, match="This model has no parameters yet"):
        dp.sample(dp.Model([dp.Embedding(5, 4), dp.Dense(5)], loss=dp.SoftmaxCrossEntropy()), LETTERS, "a")


def test_numbers_may_be_numpys_or_large(model):
    prompt = "a" * 60
    assert dp.sample(model, LETTERS, prompt, np.int8(100)) == dp.sample(model, LETTERS, prompt, 100)
    hot = [dp.sample(model, LETTERS, "a", 9, temperature=tau) for tau in (10**400, 1e300, np.float32(3e38))]
    assert hot[0] == hot[1]
    assert len(hot[2]) == 9


def test_a_network_that_remembers_nothing_is_refused():
    model = dp.Model([dp.Embedding(5, 4), dp.Dense(5)], loss=dp.SoftmaxCrossEntropy())
    model.in_shape = (7,)
    with pytest.raises(dp.ConfigError, match="recurrent layers, but there is none"):
        dp.sample(model, LETTERS, "a", 3)


def test_a_network_that_looks_at_other_steps_by_itself_is_refused():
    x = dp.Input()
    h = dp.GRU(4, return_sequences=True)(dp.Embedding(5, 4)(x))
    looks = dp.Graph(x, dp.Dense(5)(dp.Concatenate()(h, dp.DotAttention()(h, h))))
    causal = [dp.Embedding(5, 4), dp.Conv1d(4, 2, padding=(1, 0)), dp.GRU(4, return_sequences=True), dp.Dense(5)]
    for net in (looks, causal):
        along = dp.Model(net, dp.SoftmaxCrossEntropy(), in_shape=(10,))
        with pytest.raises(dp.ConfigError, match=r"Text is written step by step.* looks at other steps too"):
            dp.sample(along, LETTERS, "cab", 3)
    net = [dp.Embedding(5, 4), dp.Conv1d(4, 1), dp.GRU(4, return_sequences=True), dp.Dense(5)]
    assert dp.sample(dp.Model(net, dp.SoftmaxCrossEntropy(), in_shape=(10,)), LETTERS, "cab", 3)


def test_of_equally_likely_tokens_no_more_than_k_are_left(model):
    params = {**model.variables.params, "3_dense": {"W": np.zeros((6, 5), "f"), "b": np.zeros(5, "f")}}
    equal = dp.Model(model.net, loss=model.loss, in_shape=(10,))
    equal.variables = equal.variables._replace(params=params)
    assert {dp.sample(equal, LETTERS, "c", 9, top_k=1, seed=seed) for seed in range(5)} == {"a" * 9}
    assert set(dp.sample(equal, LETTERS, "c", 60, top_k=2)) == {"a", "b"}
