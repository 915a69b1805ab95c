"""A compiled model, watched from inside its graph: `python examples/compiled_model.py`.

The watch is set before the first call. Sums then stand in the graph, which is neither broken nor compiled anew: there
are two, one for steps with a snapshot and one for those without.
"""

import torch
from torch import nn
from torch.nn import functional as F

import unbend
from unbend import load


def main(steps: int = 200, backend: str = "inductor"):
    digits = load.data("digits")
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 16), nn.GELU(), nn.Linear(16, 10))
    compiled = torch.compile(net, fullgraph=True, backend=backend)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)

    with unbend.watch(compiled, every=20, budget=None) as watch:
        for _ in range(steps):
            rows = torch.randint(len(digits.x), (128,))
            x, y = digits.x[rows], digits.y[rows]
            loss = F.cross_entropy(compiled(x), y)
            optimiser.zero_grad()
            loss.backward()
            watch.label(y)
            watch.log(loss=loss)
            optimiser.step()

    print("held-out read-out of layer 3:", watch.history.layer("3", "readout").round(2))
    return net, watch


if __name__ == "__main__":
    main()
