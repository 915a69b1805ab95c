"""Maps as a table of columns, for viewers of embeddings.

In: `LayerMaps`. Out: a `.parquet` file that Embedding Atlas, pandas and others read.
"""

import os

import numpy as np

from unbend.errors import MissingExtraError
from unbend.explain.maps.maps import LayerMaps
from unbend.files import whole


def save_maps(maps: LayerMaps, path: str | os.PathLike[str]) -> None:
    """Write maps as a Parquet table, a row for each row of the data, whole or not at all.

    Its columns are `row` (its number in the data set), `label`, `part` (train or held_out), `text` where there is one,
    and for every method and layer two such as `tsne_0_x` and `tsne_0_y`. In Embedding Atlas:
    `embedding-atlas maps.parquet --x tsne_0_x --y tsne_0_y`, with `--text text` where there is.

    Args:
        maps: what to write.
        path: where.

    Raises:
        MissingExtraError: pyarrow is not installed.
        RecordError: the file cannot be written.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415  an extra
        from pyarrow import parquet  # noqa: PLC0415  an optional package
    except ImportError:
        raise MissingExtraError("parquet: needs pyarrow. Install it: pip install 'unbend[table]'.") from None
    names = np.array(maps.class_names, dtype=object)
    columns = {
        "row": pa.array(maps.ids),
        "label": pa.array(names[maps.y].tolist() if maps.class_names else maps.y),
        "part": pa.array(np.where(maps.held_out, "held_out", "train").tolist()),
    }
    if maps.texts:
        columns["text"] = pa.array(list(maps.texts))
    for series in maps.series:
        for layer, points in zip(maps.layers, series.points, strict=True):
            for axis, values in zip("xy", points.T, strict=True):
                columns[f"{series.method}_{layer}_{axis}"] = pa.array(values.astype(np.float32))
    with whole(path, "the table") as temporary:
        parquet.write_table(pa.table(columns), temporary)
