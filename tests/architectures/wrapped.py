"""Networks in wrappers, with tied or constrained weights, adapted, quantised, scripted and exported."""

import copy

import torch
from tests.architectures.composed import ROWS, mlp
from tests.architectures.entry import Entry, Net, normal, tokens
from torch import nn
from torch.nn.utils import parametrizations, prune


class Adapted(nn.Module):
    """A frozen layer beside a factor of low rank."""

    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(requires_grad=False)
        self.lora_A = nn.Linear(base.in_features, 2, bias=False)
        self.lora_B = nn.Linear(2, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.lora_B(self.lora_A(x))


def tied():
    net = Net(lambda s, x: s.head(torch.tanh(s.middle(s.embed(x)))), embed=nn.Embedding(20, 8), middle=nn.Linear(8, 8),
              head=nn.Linear(8, 20, bias=False))  # fmt: skip
    net.head.weight = net.embed.weight
    return net


def shared():
    layer = nn.Linear(6, 6)
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), nn.Linear(6, 2))


def pruned():
    net = mlp(6, 8, 2)
    prune.l1_unstructured(net[0], "weight", 0.5)
    return net


def quantised():
    return torch.ao.quantization.quantize_dynamic(mlp(6, 8, 2), {nn.Linear}, dtype=torch.qint8)


def exported():
    rows = torch.export.Dim("rows")
    return torch.export.export(mlp(6, 8, 2).eval(), (ROWS(),), dynamic_shapes=({0: rows},)).module()


def unflattened():
    rows = torch.export.Dim("rows")
    return torch.export.unflatten(torch.export.export(mlp(6, 8, 2).eval(), (ROWS(),), dynamic_shapes=({0: rows},)))


def lazy():
    return nn.Sequential(nn.LazyLinear(4), nn.ReLU(), nn.Linear(4, 2))


def averaged():
    return torch.optim.swa_utils.AveragedModel(mlp(6, 8, 2))


def frozen():
    return copy.deepcopy(mlp(6, 8, 2)).requires_grad_(requires_grad=False)


SCRIPT = "TorchScript modules do not run Python hooks"

ENTRIES = [
    Entry(name="compiled", inputs=ROWS, build=lambda: torch.compile(mlp(6, 8, 2), backend="eager"),
          inner=lambda net: net._orig_mod),
    Entry(name="data parallel", inputs=ROWS, build=lambda: nn.DataParallel(mlp(6, 8, 2)),
          inner=lambda net: net.module),
    Entry(name="averaged weights", inputs=ROWS, build=averaged),
    Entry(name="frozen", inputs=ROWS, build=frozen),
    Entry(name="tied weights", inputs=tokens(5), axes={"*": "npc"}, build=tied),
    Entry(name="one layer called twice", inputs=ROWS, build=shared),
    Entry(name="weight norm", inputs=ROWS,
          build=lambda: nn.Sequential(parametrizations.weight_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2))),
    Entry(name="spectral norm", inputs=ROWS,
          build=lambda: nn.Sequential(parametrizations.spectral_norm(nn.Linear(6, 8)), nn.ReLU(), nn.Linear(8, 2))),
    Entry(name="orthogonal weights", inputs=ROWS,
          build=lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(6, 6)), nn.ReLU(), nn.Linear(6, 2))),
    Entry(name="pruned", inputs=ROWS, build=pruned),
    Entry(name="low-rank adapters", inputs=ROWS,
          build=lambda: nn.Sequential(Adapted(nn.Linear(6, 8)), nn.ReLU(), Adapted(nn.Linear(8, 2)))),
    Entry(name="half precision", inputs=lambda: normal(3, 6, 6)().bfloat16(), axes={"[01]": "ncpp"},
          build=lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)).bfloat16()),
    Entry(name="double precision", inputs=lambda: ROWS().double(), build=lambda: mlp(6, 8, 2).double()),
    Entry(name="exported and unflattened", inputs=ROWS, build=unflattened),
    Entry(name="exported graph", inputs=ROWS, build=exported),
    Entry(name="quantised while it runs", inputs=ROWS, build=quantised, refusal="is quantized"),
    Entry(name="scripted", inputs=ROWS, build=lambda: torch.jit.script(mlp(6, 8, 2)), refusal=SCRIPT),
    Entry(name="traced", inputs=ROWS, build=lambda: torch.jit.trace(mlp(6, 8, 2), ROWS()), refusal=SCRIPT),
    Entry(name="lazy", inputs=ROWS, build=lazy, refusal="is not initialised yet"),
    Entry(name="without values", inputs=ROWS, build=lambda: mlp(6, 8, 2).to("meta"), refusal="meta device"),
]  # fmt: skip
