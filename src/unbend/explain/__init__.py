"""What explains a network rather than measures it: two units before the output, surgery, directions, units, inputs.

In: a model and data, or a study. Out: Results, and networks that were changed on a copy. Must not know drawing, HTML,
argv.
"""
