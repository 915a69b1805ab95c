"""Two units before the output: a network retrained with a layer that can be drawn, and proved separable or not.

In: a model and data. Out: `NarrowedModel`. `output` finds the output layer by running the model and puts the units
before it on a copy, `retrain` trains that copy, `bottleneck` puts it together, `words` tells it in sentences.
"""
