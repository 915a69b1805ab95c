"""What single units answer to, with the examples themselves: images, rows of a table, texts.

In: a model and data. Out: `UnitCards`. `examples` fetches rows by number, `reasons` says what is remarkable about a
unit and puts the most remarkable first, `units` puts it together.
"""
