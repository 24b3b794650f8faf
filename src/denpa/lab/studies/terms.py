"""The words of the pictures in Japanese: what stands in them in English, and in its place."""

from __future__ import annotations

import re

__all__ = ["TERMS", "in_japanese"]

TERMS = {
    "1st direction": "第 1 方向",
    "2nd direction": "第 2 方向",
    "accuracy": "正解率",
    "activation": "活性",
    "autoencoder": "自己符号化器",
    "back-propagation": "誤差逆伝播法",
    "batch norm": "バッチ正規化",
    "batch: 1000": "バッチ：1000",
    "central differences": "中心差分",
    "committee": "多数の平均",
    "deep": "深い CNN",
    "degree": "次数",
    "dropout": "ドロップアウト",
    "epochs": "エポック",
    "error": "誤差",
    "fixed rate": "固定学習率",
    "forget bias": "忘却ゲートのバイアス",
    "Gaussian": "ガウス",
    "images": "枚",
    "L1: lasso": "L1：LASSO",
    "L2: ridge": "L2：リッジ",
    "layer": "層",
    "learning rate": "学習率",
    "mean squared error": "平均二乗誤差",
    "measured": "測定値",
    "members": "モデル数",
    "members, mean": "個々の平均",
    "milliseconds": "ミリ秒",
    "mini-batch: 50": "ミニバッチ：50",
    "momentum": "モーメンタム",
    "no convolution": "畳み込みなし",
    "none": "なし",
    "norm of delta, last layer = 1": "デルタのノルム（最終層＝1）",
    "norm of delta, last step = 1": "デルタのノルム（最後＝1）",
    "one convolution": "畳み込み 1 層",
    "online: 1": "オンライン：1",
    "output": "出力層",
    "parameters": "パラメータ数",
    "principal components": "主成分",
    "relative error": "相対誤差",
    "ridge": "リッジ",
    "root mean square of ∂E/∂W": "∂E/∂W の二乗平均平方根",
    "share": "割合",
    "sigmoid": "シグモイド",
    "simulated": "シミュレーション",
    "standard deviation of activations": "活性の標準偏差",
    "step": "更新回数",
    "steps back in time": "さかのぼるステップ数",
    "stopped": "終了点",
    "strength of the penalty": "正則化の強さ",
    "test": "テスト",
    "test accuracy": "テスト正解率",
    "training": "訓練",
    "training accuracy": "訓練正解率",
    "units of the code": "符号のユニット数",
    "updates": "更新回数",
    "updates + 1": "更新回数＋1",
    "variance of the mean": "平均の分散",
    "variance of w / variance of x": "w の分散／x の分散",
    "step h": "刻み幅 h",
    "way of training": "学習の経路",
    "weight": "重み",
}

_COUNTED = re.compile(r"(?:([\d.,]+) )?(.*?)(?: ([\d.]+))?")


def in_japanese(text: str) -> str:
    """A text of a picture: as a whole where it is known, else part by part between commas; numbers stay."""
    return TERMS[text] if text in TERMS else ", ".join(_part(part) for part in text.split(", "))


def _part(text: str) -> str:
    match = _COUNTED.fullmatch(text)
    if match is None or match[2] not in TERMS:
        return text
    return " ".join(part for part in (match[1], TERMS[match[2]], match[3]) if part)
