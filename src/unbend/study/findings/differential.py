"""What else would explain what a rule found, by the rule's name: what to rule out before acting on it.

In: nothing. Out: `INSTEAD`. One sentence for every cause; `docs/diagnosis.md` shows the same table.
"""

INSTEAD: dict[str, str] = {
    "diverged": "Inputs or targets of huge scale, or a loss that takes the log of zero, end here too.",
    "nonfinite": "A hole in the data, a division by zero, or float16 that overflows in this one layer.",
    "overflow": "Weights blown up by too high a learning rate.",
    "too_few_outputs": "Labels that are meant as a number on a scale: then it is a regression (n_classes=0).",
    "constant_softmax": "Nothing else: a softmax over one number is always 1.",
    "applied_twice": "A loss of your own that takes probabilities but is bounded away from 0.",
    "raw_scores": "A loss with a term that may be negative, such as an entropy bonus.",
    "clipped_output": "Outputs that are meant to be counts or ratings, which are never negative.",
    "output_range": "Targets that were meant to be scaled into the range of the output.",
    "not_repeatable": "A model that samples on purpose, such as a variational autoencoder or Monte-Carlo dropout.",
    "stale_norm": "Held-out data of another scale than the training data; then the shift is told as well.",
    "exchanged_labels": "A network trained with other class names, or a data set whose classes were renumbered.",
    "duplicated_rows": "Few distinct inputs, such as small integer tables, repeat by chance.",
    "leak": "An easy task: one honest measurement may tell the classes apart.",
    "shifted": "Parts that are meant to differ, such as another year or another hospital.",
    "shuffled_labels": "Labels that only the order or context of rows explains, which trees on single rows cannot see.",
    "noisy_labels": "A held-out part that is easier than the training part.",
    "constant_weights": "Layers pruned to zero on purpose.",
    "idle_branch": "A branch that is switched off on purpose, such as an adapter before its training.",
    "small_weights": "Weight decay that is too strong, or a normalisation in front that makes their size meaningless.",
    "shrunk_weights": "A normalisation behind each layer, which makes the size of its weights meaningless.",
    "affine_stack": "A factorised layer (low rank on purpose), where the two are meant as one map.",
    "missing_bias": "Inputs that are not centred: standardising them may do as well.",
    "unscaled": "A first layer whose weights were scaled to match; compare with a fresh copy on scaled inputs.",
    "exploding": "A learned scale at the end of the network that is meant, such as a temperature.",
    "narrow_passage": "A bottleneck on purpose, such as that of an autoencoder or of a plot in two dimensions.",
    "vanishing": "A fresh copy with another initialisation (orthogonal) may pass gradients.",
    "strong_dropout": "A network too small for the task: then training without dropout falls short as well.",
    "untouched_layer": "Layers frozen on purpose, such as random features.",
    "untrained": "A checkpoint that was not loaded.",
    "silent_units": "Too high a learning rate, an initial bias far below zero, or inputs all of one sign: the weights "
    "alone do not show which.",
    "large_weights": "Training that was long and not regularised lets weights grow as well.",
    "saturated_units": "Inputs that are not scaled, or weights that started too large.",
    "squared_error": "Targets that are meant as soft labels.",
    "over_fitted": "A shift between the parts, label noise in training, or copies of training rows.",
    "under_fitted": "Too few epochs, too low a learning rate, a weak optimiser or one huge batch: a look at the "
    "network cannot tell these apart.",
    "ignored_classes": "Rare rows that nothing in these inputs tells from the others: then only their ranking is of "
    "use.",
    "missing_class": "A class that looks like another one to every reader of these inputs.",
}
"""Rule → what else would explain its finding."""
