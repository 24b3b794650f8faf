"""Floor 6: estimators with the interface of scikit-learn, which the extra `sklearn` brings.

from denpa.estimators import NeuralNetClassifier
"""

try:
    import sklearn  # noqa: F401
except ImportError:
    raise ImportError('denpa.estimators needs scikit-learn: pip install "denpa[sklearn]"') from None

from denpa.estimators.autoencoder import NeuralNetAutoencoder
from denpa.estimators.gaussian import GaussianClassifier
from denpa.estimators.linear import LassoRegressor, RidgeRegressor
from denpa.estimators.logistic import LogisticClassifier
from denpa.estimators.neural import NeuralNetClassifier, NeuralNetRegressor
from denpa.estimators.perceptron import PerceptronClassifier

__all__ = [
    "GaussianClassifier",
    "LassoRegressor",
    "LogisticClassifier",
    "NeuralNetAutoencoder",
    "NeuralNetClassifier",
    "NeuralNetRegressor",
    "PerceptronClassifier",
    "RidgeRegressor",
]
