"""What a layer is worth: the network with a layer skipped, replaced, averaged, or with its classes erased.

In: a model and data. Out: a `Surgery`. `replay` runs a model from the middle on; `operations` are what is done to a
layer, `fit` is what they need of the training rows, `runs` tries one matrix for several layers, `needed` counts the
units a layer needs, `leak` asks held-out rows, `surgery` puts it together, `words` tells it in sentences.
"""
