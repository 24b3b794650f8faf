"""The chapters that studies belong under, in their order."""

from denpa.lab.studies.study import Text

__all__ = [
    "AUTOENCODERS",
    "CLASSICAL",
    "CONVOLUTION",
    "GRADIENTS",
    "LANDSCAPES",
    "OPTIMISERS",
    "RECURRENCE",
    "REGULARISATION",
    "START",
    "STATISTICS",
    "UNITS",
]

UNITS = Text("Units and layers", "ユニットと層")
GRADIENTS = Text("Back-propagation", "誤差逆伝播法")
START = Text("Activation and initial weights", "活性化関数と重みの初期値")
OPTIMISERS = Text("Optimisers", "最適化手法")
LANDSCAPES = Text("Error surfaces", "誤差曲面")
REGULARISATION = Text("Over-fitting and regularisation", "過学習と正則化")
CONVOLUTION = Text("Convolution", "畳み込みニューラルネットワーク")
RECURRENCE = Text("Recurrence", "再帰型ニューラルネットワーク")
AUTOENCODERS = Text("Autoencoders", "自己符号化器")
CLASSICAL = Text("Linear models", "線形モデル")
STATISTICS = Text("Statistical learning", "統計的学習")
