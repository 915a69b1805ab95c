"""Small networks, data sets and their training.

In: widths, names, seeds. Out: plain `nn.Module`s, `DataSet`s, the `History` of a training and the `Fleet` of many. Must
not know statistics, hooks or drawing.
"""

from unbend.zoo.activations import ACTIVATIONS, Activation, Curve, Elementwise, activation, curve
from unbend.zoo.by_hand import sawtooth, strip_net, xor_relu, xor_sigmoid
from unbend.zoo.catalogue import DATA_SETS, data
from unbend.zoo.demo import digits, moons_in_two, two_moons
from unbend.zoo.fleet import Fleet, Net, fleet_outputs, many, net_of
from unbend.zoo.initial import Initial, initialise
from unbend.zoo.narrow import narrow
from unbend.zoo.networks import Residual, hidden_layers, mlp, residual_mlp
from unbend.zoo.pruning import Ticket, any_at_random, kept_share, masked, shuffle, smallest, tickets
from unbend.zoo.sets import DataSet
from unbend.zoo.spam import mails
from unbend.zoo.splines import Edges, Grid, KANLayer, edges, kan
from unbend.zoo.toys import circles, formula, moons, nine_discs, sine, spirals, strip, xor
from unbend.zoo.training import History, Recipe, accuracy, outputs, restore, train
from unbend.zoo.vision import lenet_300_100, small_cnn
from unbend.zoo.widths import hidden_widths, parameter_count, widths_of_size

__all__ = [
    "ACTIVATIONS",
    "DATA_SETS",
    "Activation",
    "Curve",
    "DataSet",
    "Edges",
    "Elementwise",
    "Fleet",
    "Grid",
    "History",
    "Initial",
    "KANLayer",
    "Net",
    "Recipe",
    "Residual",
    "Ticket",
    "accuracy",
    "activation",
    "any_at_random",
    "circles",
    "curve",
    "data",
    "digits",
    "edges",
    "fleet_outputs",
    "formula",
    "hidden_layers",
    "hidden_widths",
    "initialise",
    "kan",
    "kept_share",
    "lenet_300_100",
    "mails",
    "many",
    "masked",
    "mlp",
    "moons",
    "moons_in_two",
    "narrow",
    "net_of",
    "nine_discs",
    "outputs",
    "parameter_count",
    "residual_mlp",
    "restore",
    "sawtooth",
    "shuffle",
    "sine",
    "small_cnn",
    "smallest",
    "spirals",
    "strip",
    "strip_net",
    "tickets",
    "train",
    "two_moons",
    "widths_of_size",
    "xor",
    "xor_relu",
    "xor_sigmoid",
]
