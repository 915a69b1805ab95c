"""Keras 3 models on the torch backend as modules of torch, under the names that Keras gives their layers.

In: a Keras model, or a `.keras` file. Out: a module of torch that puts out the same numbers, which is checked. Keras
calls its layers past torch's hooks, keeps kernels as inputs × outputs and images channels last; no study could use it.
"""

from unbend.load.keras.archive import keras_file
from unbend.load.keras.network import KerasNet, from_keras, is_keras

__all__ = ["KerasNet", "from_keras", "is_keras", "keras_file"]
