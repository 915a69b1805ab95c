"""What a picture of each Result shows, as plain numbers: the page draws them in the browser, `plot` with matplotlib.

In: a Result. Out: frozen values of arrays. Must not know who draws them.
"""
