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
    "best": "最良",
    "central differences": "中心差分",
    "change of weights": "重みの変化",
    "committee": "多数の平均",
    "conditional mean": "条件付き期待値",
    "conditional median": "条件付き中央値",
    "correlated": "相関あり",
    "curvature h": "曲率 h",
    "deep": "深い CNN",
    "degree": "次数",
    "different covariances": "共分散が異なる",
    "discriminative": "識別モデル",
    "distance of the boundaries": "境界の距離",
    "dropout": "ドロップアウト",
    "epochs": "エポック",
    "error": "誤差",
    "examples": "データ数",
    "expected squared error": "二乗誤差の期待値",
    "fixed rate": "固定学習率",
    "forget bias": "忘却ゲートのバイアス",
    "Gaussian": "ガウス",
    "generative": "生成モデル",
    "gradient descent": "勾配降下法",
    "hidden unit": "中間ユニット",
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
    "most probable": "最も確率の高い値",
    "no convolution": "畳み込みなし",
    "none": "なし",
    "norm of delta, last layer = 1": "デルタのノルム（最終層＝1）",
    "norm of delta, last step = 1": "デルタのノルム（最後＝1）",
    "one convolution": "畳み込み 1 層",
    "online: 1": "オンライン：1",
    "output": "出力層",
    "overall mean": "全体の平均",
    "parameters": "パラメータ数",
    "principal components": "主成分",
    "raw": "標準化なし",
    "relative error": "相対誤差",
    "ridge": "リッジ",
    "root mean square of ∂E/∂W": "∂E/∂W の二乗平均平方根",
    "same covariance": "共分散が等しい",
    "share": "割合",
    "share of the error left": "誤差の残り",
    "share of the minimum left": "最小点の残る割合",
    "sigmoid": "シグモイド",
    "simulated": "シミュレーション",
    "standard deviation of activations": "活性の標準偏差",
    "standardised": "標準化あり",
    "step": "更新回数",
    "step / learning rate": "更新量／学習率",
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
    "updates since the large gradient": "大きな勾配からの更新回数",
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
