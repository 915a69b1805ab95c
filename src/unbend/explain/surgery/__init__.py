"""What a layer is worth: the network with a layer skipped, replaced, averaged, or freed of what tells the classes apart.

In: a model and data. Out: a `Surgery`. `replay` runs a model from the middle on; `operations` are what is done to a
layer, `fit` is what they need of the training rows, `leak` asks held-out rows, `surgery` puts it together, `words` tells
it in sentences.
"""
