"""The words of the pictures in Japanese: what stands in them in English, and in its place."""

__all__ = ["TERMS"]

TERMS = {
    "accuracy": "正解率",
    "back-propagation": "誤差逆伝播法",
    "central differences": "中心差分",
    "milliseconds": "ミリ秒",
    "parameters": "パラメータ数",
    "relative error": "相対誤差",
    "test accuracy": "テスト正解率",
    "training accuracy": "訓練正解率",
    "updates": "更新回数",
}
