"""A network of PyTorch's, live, and the same network here with its weights, give the same output."""

from __future__ import annotations

import numpy as np
import pytest

import denpa as dp

torch = pytest.importorskip("torch")


def pairs():
    """Networks of both, for images of 4x5 pixels with 2 channels."""
    nn = torch.nn
    body = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.PReLU(4)]
    body += [nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), nn.MaxPool2d(2)]
    head = [nn.BatchNorm1d(120), nn.PReLU(), nn.Linear(120, 7), nn.Tanh(), nn.Linear(7, 3)]
    ours = [dp.Conv2d(4, 3, padding=1), dp.BatchNorm(), dp.PReLU(shared=False)]
    ours += [dp.ConvTranspose2d(6, 3, stride=2, padding=1, output_padding=1, groups=2), dp.MaxPool2d(2)]
    ends = [dp.BatchNorm(), dp.PReLU(), dp.Dense(7), dp.Tanh(), dp.Dense(3)]
    x = dp.Input()
    graph = dp.Graph(x, dp.Dense(3)(dp.ReLU()(dp.Flatten()(dp.Conv2d(4, 3, true_convolution=True)(x)))))
    return {
        "nested": (
            nn.Sequential(nn.Sequential(*body), nn.Flatten(), nn.Sequential(*head)),
            dp.Sequential([dp.Sequential(ours), dp.Flatten(), dp.Sequential(ends)]),
        ),
        "graph": (nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.ReLU(), nn.Linear(24, 3)), graph),
        "flat": (nn.Sequential(nn.Flatten(), nn.Linear(40, 3)), dp.Sequential([dp.Flatten(), dp.Dense(3)])),
    }


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_same_recurrent_weights_give_the_same_output(kind):
    rng = np.random.default_rng(1)
    theirs = getattr(torch.nn, kind)(3, 4, batch_first=True)
    with torch.no_grad():
        for array in theirs.parameters():
            array.copy_(torch.tensor(rng.standard_normal(array.shape)))
    options = {"reset_after": True} if kind == "GRU" else {}
    layer = getattr(dp, kind)(4, return_sequences=True, **options)
    model = dp.Model([layer], dp.MeanSquaredError(), in_shape=(5, 3))
    model.load_weights({f"rnn.{name}": a.numpy() for name, a in theirs.state_dict().items()}, pytorch=True)
    x = rng.standard_normal((2, 5, 3)).astype(np.float32)
    expected = theirs(torch.tensor(x))[0].detach().numpy()
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-5)


def test_recurrent_modules_of_another_form_are_refused():
    state = {name: a.numpy() for name, a in torch.nn.GRU(3, 4, num_layers=2).state_dict().items()}
    model = dp.Model([dp.GRU(5, return_sequences=True), dp.GRU(4)], dp.MeanSquaredError(), in_shape=(5, 3))
    with pytest.raises(dp.DenpaError, match="reset_after=True") as refused:
        model.load_weights({f"gru.{name}": a for name, a in state.items()}, pytorch=True)
    assert "weight_ih_l0 has shape (12, 3), but 0_gru wants 3 times 5 rows" in str(refused.value)


@pytest.mark.parametrize("case", ["nested", "graph", "flat"])
def test_the_same_weights_give_the_same_output(case, tmp_path):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    theirs, net = pairs()[case]
    with torch.no_grad():
        for name, array in theirs.state_dict().items():
            if array.dtype.is_floating_point:
                array.uniform_(0.5, 2.0) if name.endswith("running_var") else array.normal_(std=0.5)
    theirs.eval()
    save_file(theirs.state_dict(), tmp_path / "weights.safetensors")
    model = dp.Model(net, dp.SoftmaxCrossEntropy(), in_shape=(4, 5, 2))
    model.load_weights(tmp_path / "weights.safetensors", pytorch=True)
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).astype(np.float32)
    expected = theirs(torch.tensor(x.transpose(0, 3, 1, 2))).detach().numpy()
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5, atol=1e-5)
