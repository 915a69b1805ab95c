"""Studies that the commands read."""

import pytest
import torch

import unbend


@pytest.fixture(scope="session")
def studies(tmp_path_factory):
    """Two studies, the first with every kind of Result that spans layers."""
    folder = tmp_path_factory.mktemp("studies")
    torch.manual_seed(0)
    x = torch.randn(80, 3)
    y = (x[:, 0] > 0).long()
    nets = [torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2)) for _ in range(2)]
    whole = unbend.study(nets[0], (x, y), loss="cross_entropy", trials=False, proofs=True, probes=True, twin=False)
    assert {"ladder", "probes", "gradients", "head", "similarity", "examination"} <= set(whole.across)
    unbend.save(whole, folder / "a.unbend")
    unbend.save(unbend.study(nets[1], (x, y), twin=False, measures=["readout"]), folder / "b.unbend")
    return folder
