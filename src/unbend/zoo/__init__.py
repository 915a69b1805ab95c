"""Small networks, data sets and their training.

Comes in: widths, names, seeds. Goes out: plain `nn.Module`s, `DataSet`s and the `History` of a training. This
package must not know statistics, hooks or drawing.
"""

from unbend.zoo.activations import ACTIVATIONS, Activation, Curve, Elementwise, activation, curve
from unbend.zoo.demo import digits
from unbend.zoo.networks import Residual, mlp, residual_mlp
from unbend.zoo.sets import DataSet
from unbend.zoo.training import History, Recipe, accuracy, outputs, restore, train

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "Curve",
    "DataSet",
    "Elementwise",
    "History",
    "Recipe",
    "Residual",
    "accuracy",
    "activation",
    "curve",
    "digits",
    "mlp",
    "outputs",
    "residual_mlp",
    "restore",
    "train",
]
