"""The words of pictures and formulas in Japanese: what stands in them in English, and in its place."""

from __future__ import annotations

import re

__all__ = ["FORMULA_WORDS", "TERMS", "in_japanese", "words_apart"]

TERMS = {
    "-t log z alone": "−t log z のみ",
    "1st direction": "第 1 方向",
    "2nd direction": "第 2 方向",
    "3 × image": "3 × 画像",
    "accuracy": "正解率",
    "activation": "出力",
    "AdaGrad from 0": "AdaGrad（0 から）",
    "adadelta": "AdaDelta",
    "adagrad": "AdaGrad",
    "adam": "Adam",
    "after one step": "1 回の更新後",
    "autoencoder": "自己符号化器",
    "average": "平均",
    "back-propagation": "誤差逆伝播法",
    "batch norm": "バッチ正規化",
    "batch: 1000": "バッチ：1000",
    "before": "更新前",
    "best": "最良",
    "central differences": "中心差分",
    "change of weights": "重みの変化",
    "class": "クラス",
    "classification": "分類",
    "clipped-momentum": "モーメンタム（クリップ）",
    "clipped-sgd": "勾配降下法（クリップ）",
    "component": "成分",
    "conditional mean": "条件付き期待値",
    "conditional median": "条件付き中央値",
    "correlated": "相関あり",
    "curvature h": "曲率 h",
    "deep": "深い CNN",
    "degree": "次数",
    "delta of the image": "画像のデルタ",
    "delta": "デルタ",
    "dense": "全結合",
    "difference": "差",
    "different covariances": "共分散が異なる",
    "dilation": "ダイレーション",
    "discriminative": "識別モデル",
    "distance of the boundaries": "境界の間の距離",
    "divisive": "除算正規化",
    "dropout": "ドロップアウト",
    "epochs": "エポック",
    "error": "誤差",
    "examples": "データ数",
    "expected squared error": "二乗誤差の期待値",
    "filter": "フィルタ",
    "fixed rate": "固定学習率",
    "forget bias": "忘却バイアス",
    "from biases 0": "バイアス 0 から",
    "from tangents": "接線から",
    "Gaussian": "ガウス",
    "generative": "生成モデル",
    "gradient descent": "勾配降下法",
    "gradient": "勾配",
    "hidden unit": "中間ユニット",
    "identity": "恒等写像",
    "image + 0.5": "画像 + 0.5",
    "image": "画像",
    "images": "枚",
    "input unit": "入力ユニット",
    "L1: lasso": "L1：LASSO",
    "L2: ridge": "L2：リッジ",
    "layer": "層",
    "leaky ReLU": "リーキー ReLU",
    "learning rate": "学習率",
    "maximum": "最大",
    "maxout": "マックスアウト",
    "mean squared error": "平均二乗誤差",
    "measured": "測定値",
    "members": "モデル数",
    "members, mean": "個々の平均",
    "milliseconds": "ミリ秒",
    "mini-batch: 50": "ミニバッチ：50",
    "mistakes": "誤り",
    "momentum": "モーメンタム",
    "momentum with 1 − μ": "モーメンタム（1 − μ）",
    "most probable": "最も確率の高い値",
    "moved images": "枚",
    "moved": "移動あり",
    "nearest": "最近傍",
    "nesterov": "ネステロフ",
    "no convolution": "畳み込みなし",
    "no recurrence": "再帰なし",
    "noisy sgd": "勾配降下法（雑音つき）",
    "none": "なし",
    "norm of delta, last layer = 1": "デルタのノルム（最終層＝1）",
    "norm of delta, last step = 1": "デルタのノルム（最後＝1）",
    "one pooling": "プーリング 1 回",
    "one convolution": "畳み込み 1 層",
    "online: 1": "オンライン：1",
    "orthogonal": "直交行列",
    "output unit": "出力ユニット",
    "output": "出力層",
    "overall mean": "全体の平均",
    "P(end)": "P(終端)",
    "parameters": "パラメータ数",
    "pieces": "区分の数",
    "pixel": "画素",
    "places remembered": "位置を記憶",
    "principal components": "主成分",
    "printed formulas": "教科書の式",
    "probability of the sentence": "文の確率",
    "probability": "確率",
    "random": "乱数",
    "raw": "標準化なし",
    "rectifier": "一般のランプ関数",
    "regression": "回帰",
    "relative difference from BPTT": "BPTT との相対差",
    "relative error": "相対誤差",
    "responses": "局所応答正規化",
    "ridge": "リッジ",
    "rmsprop": "RMSprop",
    "root mean square of ∂E/∂W": "∂E/∂W の二乗平均平方根",
    "run": "学習",
    "same covariance": "共分散が等しい",
    "sgd": "勾配降下法",
    "samples alone": "標本のみ別",
    "samples and starts": "標本も初期値も別",
    "share of the delta": "デルタの割合",
    "share of the error left": "誤差の残り",
    "share of the minimum left": "最小点が残る割合",
    "share": "割合",
    "shared": "重み共有",
    "shift": "ずれ",
    "sigmoid": "シグモイド",
    "simulated": "シミュレーション",
    "size of the filter": "フィルタのサイズ",
    "size of the output": "出力サイズ",
    "size": "大きさ",
    "softmax": "ソフトマックス",
    "sparse": "疎結合",
    "spectral norm": "スペクトルノルム",
    "squared error": "二乗誤差",
    "standard deviation of activations": "出力の標準偏差",
    "standard deviation of the noise": "雑音の標準偏差",
    "standardised": "標準化あり",
    "starts alone": "初期値のみ別",
    "step / learning rate": "更新量／学習率",
    "step h": "刻み幅 h",
    "step of the answer": "応答のステップ",
    "step": "更新回数",
    "steps back in time": "さかのぼるステップ数",
    "stopped": "終了点",
    "strength of the penalty": "正則化の強さ",
    "stride": "ストライド",
    "subtractive": "減算正規化",
    "sum": "和",
    "test accuracy": "テスト正解率",
    "test": "テスト",
    "top left": "左上",
    "total error": "全体の誤差",
    "total input": "総入力",
    "training accuracy": "訓練正解率",
    "training": "訓練",
    "transferred": "転移",
    "transposed convolution": "転置畳み込み",
    "two images": "2 枚",
    "uneven light": "不均一な照明",
    "unit step": "階段関数",
    "units of the code": "符号のユニット数",
    "units": "ユニット数",
    "unmoved": "移動なし",
    "updates + 1": "更新回数＋1",
    "updates since the large gradient": "大きな勾配の後の更新回数",
    "updates": "更新回数",
    "variance of the mean": "平均の分散",
    "variance of w / variance of x": "w の分散／x の分散",
    "way of training": "学習の経路",
    "weight": "重み",
    "weights": "重みの数",
    "with noise that fades away": "次第に小さくなる雑音つき",
    "with output feedback": "出力フィードバックつき",
}

FORMULA_WORDS = {
    "back": "逆伝播",
    "dropout": "ドロップアウト",
    "Gaussian": "ガウス",
    "lasso": "LASSO",
    "maxout": "マックスアウト",
    "mistakes": "誤りの数",
    "momentum": "モーメンタム",
    "nearest": "最近傍",
    "random": "乱数",
    "rectifier": "一般のランプ関数",
    "ridge": "リッジ",
    "transposed": "転置畳み込み",
}

_SPACE = r"(?:\\ |\\q?quad|\s)*"
_WORD = re.compile(rf"{_SPACE}\\mathrm\{{(\w+)(:?)\}}(:?){_SPACE}")
_COMMA = re.compile(r", (?![^(]*\))")  # not that of N(0, 1)
_COUNTED = re.compile(r"(?:([\d.,]+) )?(.*?)(?: ([\d.]+))?")


def in_japanese(text: str) -> str:
    """A text of a picture: as a whole where it is known, else part by part between commas; numbers stay, and so does
    the comma of numbers alone, which between words is the Japanese one.
    """
    if text in TERMS:
        return TERMS[text]
    comma = "、" if any(letter.isalpha() for letter in text) else ", "
    return comma.join(_part(part) for part in _COMMA.split(text))


def _part(text: str) -> str:
    if text in TERMS:
        return TERMS[text]
    match = _COUNTED.fullmatch(text)
    if match is None or match[2] not in TERMS:
        return text
    return " ".join(part for part in (match[1], TERMS[match[2]], match[3]) if part)


def words_apart(formula: str) -> list[tuple[str, str]]:
    """A formula in LaTeX cut at the `FORMULA_WORDS` in it: parts of it ("...", ""), and words in Japanese ("", "...").

    Those in braces, as in an index, stay where they are, and so do names that are not among the words.
    """
    parts, done = [], 0
    for match in _WORD.finditer(formula):
        before = formula[: match.start()]
        if match[1] in FORMULA_WORDS and before.count("{") == before.count("}"):
            word = FORMULA_WORDS[match[1]] + "：" * bool(match[2] or match[3])
            parts += [(formula[done : match.start()], ""), ("", word)]
            done = match.end()
    parts.append((formula[done:], ""))
    return [part for part in parts if any(part)]
