"""Sums of every layer, batch after batch, in room that does not grow.

    choose       which rows of a batch go where, decided once for all layers
    bottom_k     which rows may be in the row sample
    layer        the sums of one layer: the accumulators it needs, and what they found
    accumulator  the one protocol, and its default form, `of` and `+`
    in_place     moments, activity, class means and the row sample of plain rows, by one compiled call
    rows         the row sample and the second moments of any rows

In: `Batch` after `Batch`. Out: States. Must not know hooks, models or files.
"""
