"""The joint ten-class question on real activations: Fashion-MNIST through a trained ReLU net.

python benchmarks/separate_joint.py --epochs 40 --layers 0 1 2 3
python benchmarks/separate_joint.py --widths 512 512 --right --layers 2

With --right only the rows that the net itself gets right are asked about: then the layer before the head is separable
for certain. The search is not told the head.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import argparse  # noqa: E402
import gzip  # noqa: E402
import pathlib  # noqa: E402
import time  # noqa: E402
from itertools import pairwise  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

from unbend.numerics.separable import separate  # noqa: E402

FOLDER = pathlib.Path("/usr/share/datasets/fashion-mnist")


def idx(name):
    raw = gzip.decompress(next(FOLDER.glob(f"**/{name}*.gz")).read_bytes())
    shape = [int.from_bytes(raw[4 + 4 * i : 8 + 4 * i], "big") for i in range(raw[3])]
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def train(x, y, epochs, hidden, seed=0):
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    widths = (784, *hidden, 10)
    parts = [m for a, b in pairwise(widths) for m in (torch.nn.Linear(a, b), torch.nn.ReLU())]
    model = torch.nn.Sequential(*parts[:-1])
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    steps = epochs * (len(x) // 256)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for at in range(0, len(x) - 255, 256):
            batch = order[at : at + 256]
            loss = torch.nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model


def activations(model, x):
    layers, h = [x.numpy()], x
    with torch.no_grad():
        for module in model:
            h = module(h)
            if isinstance(module, torch.nn.ReLU):
                layers.append(h.numpy())
    return layers


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--layers", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--widths", type=int, nargs="+", default=[512, 256, 128])
    parser.add_argument("--right", action="store_true", help="only the rows that the net gets right")
    parser.add_argument("--budget", type=float, default=120)
    parser.add_argument("--cache", default="")
    args = parser.parse_args()
    if args.cache and pathlib.Path(args.cache).exists():
        saved = np.load(args.cache)
        y, is_right, layers = saved["y"], saved["is_right"], [saved[f"h{i}"] for i in range(len(saved.files) - 2)]
    else:
        x = torch.tensor(idx("train-images")).float().reshape(-1, 784) / 255
        y = idx("train-labels").astype(np.int64)
        model = train(x, torch.tensor(y), args.epochs, args.widths)
        layers = activations(model, x)
        with torch.no_grad():
            is_right = model(x).argmax(1).numpy() == y
        if args.cache:
            np.savez(args.cache, y=y, is_right=is_right, **{f"h{i}": h for i, h in enumerate(layers)})
    right = is_right.mean()
    if args.right:
        y, layers = y[is_right], [h[is_right] for h in layers]
    print(
        f"training accuracy {right:.4f}\n\n| layer | n × d | verdict | s | verifies | s | robustness |\n"
        + "|---" * 7
        + "|"
    )
    for at in args.layers:
        start = time.process_time()
        verdict = separate(layers[at], y, budget=args.budget)
        seconds = time.process_time() - start
        start = time.process_time()
        ok = verdict.verify(layers[at], y)
        again = time.process_time() - start
        robust = getattr(verdict, "robustness", float("nan"))
        name, shape = type(verdict).__name__, "{} × {}".format(*layers[at].shape)
        print(
            f"| {at} | {shape} | {name} {getattr(verdict, 'reason', '')} "
            f"| {seconds:.1f} | {ok} | {again:.2f} | {robust:.1e} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
