"""`unbend warm-up`: compile everything now, so that nothing is waited for later."""

from time import perf_counter

import typer

from unbend.cli.console import errors


def warm_up() -> None:
    """Compile all of unbend's own code now, so that nothing is waited for later.

    What is compiled is kept beside the package, or in NUMBA_CACHE_DIR; later commands and programs load it from there.

    [bold]Example[/bold]

      unbend warm-up
    """
    import numpy as np

    from unbend import separate
    from unbend.numerics import cells
    from unbend.numerics.forest import class_votes
    from unbend.numerics.streaming import layer

    start = perf_counter()
    with errors().status("Compiling sums"):
        layer.warm_up(["features", "maps", "tokens"])
    with errors().status("Compiling trees"):
        class_votes(np.eye(4), np.arange(4) % 2, np.eye(4))
    with errors().status("Compiling regions"):
        cells.warm_up()
    with errors().status("Compiling proofs"):
        rng = np.random.default_rng(0)
        for x in (rng.standard_normal((60, 3)), rng.standard_normal((60, 3)).astype(np.float32)):
            for y in (x[:, 0] > 0, rng.integers(0, 2, 60), np.arange(60) % 3):
                separate(x, y.astype(np.int64))
    typer.echo(f"All code is compiled, in {perf_counter() - start:.0f} s; from now on it comes from the disk.")
