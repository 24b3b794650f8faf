"""The words of the pictures in Japanese: what stands in them in English, and in its place."""

__all__ = ["TERMS"]

TERMS = {
    "1st direction": "第 1 方向",
    "2nd direction": "第 2 方向",
    "accuracy": "正解率",
    "back-propagation": "誤差逆伝播法",
    "central differences": "中心差分",
    "milliseconds": "ミリ秒",
    "parameters": "パラメータ数",
    "relative error": "相対誤差",
    "step": "更新回数",
    "test accuracy": "テスト正解率",
    "training accuracy": "訓練正解率",
    "updates": "更新回数",
    "way of training": "学習の経路",
}
