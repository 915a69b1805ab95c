"""The planning pass: hand-derived facts of many architectures, gradients as a witness, a run left as it was."""

import copy
import threading

import pytest
import torch
from tests.capture.flow.cases import LETTERS, N, Net, mask, normal, tokens
from tests.capture.flow.known import KNOWN
from tests.capture.flow.unseen import UNSEEN
from torch import nn
from torch.nn import functional as F

from unbend.capture.flow import flow, remarks
from unbend.capture.inputs import named_tensors
from unbend.capture.kinds import FUNCTIONS
from unbend.capture.outputs import call
from unbend.capture.quiet import quiet
from unbend.errors import ModelError

CASES = [*KNOWN, *UNSEEN]


@pytest.fixture(params=CASES, ids=lambda make: make.__name__)
def case(request):
    torch.manual_seed(0)
    made = request.param()
    made.model.eval()
    return made


def test_feeders_axes_and_widths_are_those_derived_by_hand(case):
    shown = flow(case.model, case.inputs, N)
    for name, (feeders, *layout) in case.sites.items():
        site = shown.site(name)
        if feeders.startswith("="):
            assert site.alias_of == feeders[1:], name
        else:
            assert (set(site.feeders), site.alias_of) == (set(feeders.split()), None), name
        if layout:
            assert ["".join(LETTERS[role] for role in site.axes), site.width] == layout, name


def test_masks_activations_and_writes_are_those_derived_by_hand(case):
    shown = flow(case.model, case.inputs, N)
    for name, expected in case.masks.items():
        found = shown.site(name).mask
        assert (found and (found.name, found.meaning)) == expected, name
    by_hand = {site.name: site.is_rectifier for site in shown.sites if site.place[1] not in {"", *FUNCTIONS}}
    assert by_hand == case.activations
    assert shown.writes == case.writes


def test_the_pass_changes_neither_the_output_nor_the_inputs_nor_the_generators(case):
    before = {name: (tensor.clone(), tensor._version) for name, tensor in named_tensors(case.inputs)}
    torch.manual_seed(3)
    expected = torch.get_rng_state()
    flow(case.model, case.inputs, N)
    assert torch.equal(torch.get_rng_state(), expected)
    for name, tensor in named_tensors(case.inputs):
        assert torch.equal(tensor, before[name][0])
        assert tensor._version == before[name][1]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in case.model.modules())


def feeders_by_gradient(model, inputs):
    """The direct feeders of every module's output: it is cut from the graph, and what has a gradient feeds it."""
    leaves, values, calls = {}, {}, {}

    def cut(path, _module, _args, output):
        name = path or "output"
        number = calls[name] = calls.get(name, 0) + 1
        name = name if number == 1 else f"{name}#{number}"
        if not isinstance(output, torch.Tensor):
            return output
        leaf = output.detach().requires_grad_()
        values[name], leaves[name] = output, leaf
        return leaf.clone()

    handles = [
        module.register_forward_hook(lambda m, a, o, path=path: cut(path, m, a, o))
        for path, module in model.named_modules()
    ]
    try:
        with quiet(model, grad=True):
            call(model, inputs)
            found = {}
            for name, value in values.items():
                earlier = [other for other in values if other in found]
                watched = [leaves[other] for other in earlier] if value.requires_grad else []
                total = value.sum() + (value**2).sum()
                gradients = torch.autograd.grad(total, watched, allow_unused=True, retain_graph=True) if watched else []
                found[name] = (
                    {o for o, g in zip(earlier, gradients, strict=True) if g is not None} if gradients else set()
                )
    finally:
        for handle in handles:
            handle.remove()
    return found


_UNREACHED = {
    "elsewhere", "writing", "without_gradient", "cells", "packed_input", "dataclass_input", "recurrent", "packed",
    "video", "frames", "perceiver", "encoder", "by_hand", "codebook",
}  # fmt: skip
WITNESSED = [make for make in CASES if make.__name__ not in _UNREACHED]
"""Those whose modules put out tensors that gradients reach: no tuples, no NumPy, no `no_grad`, no `detach`."""


@pytest.mark.parametrize("make", WITNESSED, ids=lambda make: make.__name__)
def test_the_feeders_are_what_the_gradient_reaches_when_every_output_is_cut_from_the_graph(make):
    torch.manual_seed(0)
    case = make()
    case.model.eval()
    by_gradient = feeders_by_gradient(copy.deepcopy(case.model), case.inputs)
    shown = flow(case.model, case.inputs, N).among(by_gradient)
    alias = {site.name: site.alias_of for site in shown.sites if site.alias_of is not None}

    def first(name):
        while name in alias:
            name = alias[name]
        return name

    compared = 0
    for site in shown.sites:
        if site.alias_of is None:
            mine = {name for name in site.feeders if not name.startswith("input")}
            assert mine == {first(name) for name in by_gradient[site.name]} - {"input"}, site.name
            compared += 1
    assert compared > 1


def test_another_thread_that_uses_the_model_is_not_heard():
    net = nn.Sequential(nn.Linear(5, 6), nn.Identity(), nn.ReLU(), nn.Linear(6, 2)).eval()

    calls = []

    class Once(nn.Module):
        def forward(self, x):
            if not calls:
                calls.append(1)
                other = threading.Thread(target=net, args=(normal(9, 5),))
                other.start()
                other.join()
            return x

    net[1] = Once()
    shown = flow(net, normal(N, 5), N)
    assert [site.name for site in shown.sites] == ["0", "1", "2", "3", "output"]
    assert (shown.site("1").alias_of, shown.site("2").feeders) == ("0", ("0",))


def test_a_tensor_class_that_raises_when_asked_for_its_form_does_not_stop_the_pass():
    class Shy(torch.Tensor):
        @property
        def _version(self):
            raise RuntimeError("do not ask")

    net = Net(
        lambda net, x: net.b(net.a(x).as_subclass(Shy).mul(2).as_subclass(torch.Tensor)),
        a=nn.Linear(5, 6),
        b=nn.Linear(6, 2),
    )
    shown = flow(net, normal(N, 5), N)
    assert shown.site("a").feeders == ("input",)
    assert "b" in {site.name for site in shown.sites}


def test_an_error_of_the_model_is_the_models_and_leaves_no_hooks():
    net = nn.Sequential(nn.Linear(5, 6), nn.Linear(7, 2))
    with pytest.raises(ModelError, match="it raised RuntimeError"):
        flow(net, normal(N, 5), N)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize("meaning", ["tokens", "padding"])
@pytest.mark.parametrize("key", ["mask", "attention_mask", "pad_mask", "key_padding_mask"])
@pytest.mark.parametrize("side", ["right", "left"])
def test_what_a_mask_means_is_read_off_its_use_and_its_edges_not_off_its_name(meaning, key, side):
    keep = mask(6, 6, 4, 5, 2).bool()
    keep = keep.flip(1) if side == "left" else keep

    def run(net, ids, **given):
        (m,) = given.values()
        rows = (m == 0 if meaning == "padding" else m != 0).float()[..., None]
        return net.head((net.emb(ids) * rows).sum(1))

    net = Net(run, emb=nn.Embedding(20, 6), head=nn.Linear(6, 2))
    shown = flow(net, {"ids": tokens(6), key: keep if meaning == "tokens" else ~keep}, N)
    found = shown.site("emb").mask
    assert (found.name, found.meaning) == (f"input[{key!r}]", meaning)
    assert shown.site("head").mask is None
    assert shown.site("head").feeders == ("emb",)


def test_a_mask_without_a_name_is_known_by_what_attention_leaves_out():
    def run(net, x, extra):
        h = net.a(x)
        return net.b(F.scaled_dot_product_attention(h, h, h, attn_mask=(extra == 3)[:, None, :]))

    keep = mask(6, 6, 4, 5, 2)
    net = Net(run, a=nn.Linear(3, 4), b=nn.Linear(4, 2))
    shown = flow(net, {"x": normal(N, 6, 3), "extra": keep * 3}, N)
    assert shown.site("a").mask is None  # not zeros and ones: nothing is claimed
    net.run = lambda net, x, extra: run(net, x, extra * 3)
    shown = flow(net, {"x": normal(N, 6, 3), "extra": keep}, N)
    found = shown.site("b").mask
    assert (found.name, found.meaning) == ("input['extra']", "tokens")


def test_the_flow_among_some_sites_passes_through_the_others():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh(), nn.Sequential(nn.Linear(6, 2)))
    shown = flow(net, normal(N, 5), N).among({"0", "4"})
    assert [(site.name, site.feeders, site.activations) for site in shown.sites] == [
        ("0", ("input",), ()),
        ("4", ("0",), ("relu", "tanh")),
    ]


def test_where_producer_and_consumer_are_silent_it_is_told_that_the_axis_is_assumed():
    net = Net(lambda net, x: net.act(x * 2).mean((1, 2)), act=nn.ReLU())
    shown = flow(net, normal(N, 5, 6), N)
    assert shown.site("act").is_assumed
    assert shown.site("act").unit_axis == 2
    assert any(note.startswith("Nothing says which axis holds the units; assumed for act") for note in remarks(shown))


@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
def test_what_is_computed_outside_of_torch_is_told():
    class Script(nn.Module):
        def forward(self, x):
            return x * 3

    net = Net(
        lambda net, x: net.b(net.s(net.a(x))),
        a=nn.Linear(5, 6),
        s=torch.jit.trace(Script(), normal(N, 6)),
        b=nn.Linear(6, 2),
    )
    shown = flow(net, normal(N, 5), N)
    assert shown.site("b").feeders == ("?",)
    assert next(remarks(shown)).startswith("What feeds b could not be seen")
