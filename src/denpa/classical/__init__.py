"""Floor 2: closed forms and classical algorithms, in float64 on the host.

Each has a network of one layer beside it that is trained by gradient; the two minimise the same objective.
"""

from denpa.classical.coordinate_descent import (
    SparseModel,
    elastic_net,
    largest_strength,
    lasso,
    lasso_path,
    soft_threshold,
)
from denpa.classical.gaussian import GaussianClassifier, linear_discriminant, quadratic_discriminant
from denpa.classical.joint import (
    conditional,
    conditional_expectation,
    expected_squared_error,
    joint_table,
    least_squared_error,
)
from denpa.classical.least_squares import LinearModel, linear_regression, polynomial_features, ridge, ridge_path
from denpa.classical.logistic import LogisticModel, SoftmaxModel, logistic_regression, softmax_regression
from denpa.classical.principal import PrincipalComponents, pca
from denpa.classical.quadratic import decayed, descended, effective_parameters, equivalent_strength
from denpa.classical.rosenblatt import GATES, Perceptron, formal_neuron, margin, mistake_bound, perceptron
from denpa.classical.selection import (
    BiasVariance,
    DegreeCurve,
    Scores,
    bias_variance,
    degree_curve,
    hold_out,
    k_fold,
    mean_squared_error,
)

__all__ = [
    "GATES",
    "BiasVariance",
    "DegreeCurve",
    "GaussianClassifier",
    "LinearModel",
    "LogisticModel",
    "Perceptron",
    "PrincipalComponents",
    "Scores",
    "SoftmaxModel",
    "SparseModel",
    "bias_variance",
    "conditional",
    "conditional_expectation",
    "decayed",
    "degree_curve",
    "descended",
    "effective_parameters",
    "elastic_net",
    "equivalent_strength",
    "expected_squared_error",
    "formal_neuron",
    "hold_out",
    "joint_table",
    "k_fold",
    "largest_strength",
    "lasso",
    "lasso_path",
    "least_squared_error",
    "linear_discriminant",
    "linear_regression",
    "logistic_regression",
    "margin",
    "mean_squared_error",
    "mistake_bound",
    "pca",
    "perceptron",
    "polynomial_features",
    "quadratic_discriminant",
    "ridge",
    "ridge_path",
    "soft_threshold",
    "softmax_regression",
]
