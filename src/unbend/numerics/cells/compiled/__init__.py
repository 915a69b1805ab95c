"""Compiled geometry: functions over flat arrays, one phase of the work to a file.

In: arrays. Out: arrays. Must not know networks, planes or threads.

numba keeps on the disk what an `entry` compiled to, together with all parts it calls, and looks only at the date of
the entry's own file. After a change in a part, touch the files of its entries (`subdivide`, `restrict`, `rebuild`,
`walls`), or the old code runs on.
"""
