"""Which tensor is read of what a module returns, and how a model is called."""

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from unbend.capture import call, plan, tensor_of
from unbend.capture.outputs import identity, version_of
from unbend.errors import ModelError

A, B, ONE = torch.ones(2, 3), torch.zeros(2, 4), torch.tensor(0.5)
Pair = namedtuple("Pair", "loss logits")  # noqa: PYI024


@dataclass
class Fields:
    loss: torch.Tensor
    hidden: torch.Tensor
    logits: torch.Tensor


@pytest.mark.parametrize(
    ("output", "key", "tensor"),
    [
        (A, "", A), ((A, B), "[0]", A), ([A], "[0]", A), ((ONE, B), "[1]", B), ((None, (A, B)), "[1][0]", A),
        ((torch.tensor([1, 2]), A), "[1]", A), ({"x": A, "logits": B}, "['logits']", B), ({"x": A, 3: B}, "['x']", A),
        (OrderedDict(last_hidden_state=A, logits=B), "['logits']", B), (Pair(ONE, B), ".logits", B),
        (Fields(ONE, A, B), ".logits", B), ({"a": {"out": A}}, "['a']['out']", A),
    ],
)  # fmt: skip
def test_the_likeliest_tensor_and_how_it_is_reached(output, key, tensor):
    found = tensor_of(output)
    assert found.key == key
    assert found.tensor is tensor


@pytest.mark.parametrize("output", [None, "text", 3, {}, (), (ONE,), {"label": torch.tensor([1])}, Fields])
def test_outputs_without_a_tensor_give_none(output):
    assert tensor_of(output) is None


def test_a_packed_sequence_is_padded_sample_first_with_its_mask():
    rows = [torch.ones(3, 2), torch.full((1, 2), 5.0)]
    found = tensor_of((pack_sequence(rows), None))
    assert found.key == "[0]"
    assert found.tensor.shape == (2, 3, 2)
    assert found.mask.tolist() == [[True, True, True], [True, False, False]]
    assert torch.equal(found.tensor[1, 0], rows[1][0])


def test_call_takes_a_tensor_a_tuple_or_keywords():
    assert call(lambda x: x, A) is A
    assert call(lambda x, y: (y, x), (A, B)) == (B, A)
    assert call(lambda *, x: x, {"x": A}) is A
    packed = pack_sequence([A])
    assert call(lambda x: x, packed) is packed


class Returns(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.a, self.wrap = nn.Linear(4, 3), wrap

    def forward(self, x):
        return self.wrap(self.a(x))


@pytest.mark.parametrize(
    ("wrap", "words"),
    [
        (lambda h: {"features": h * 2, "logits": h}, "returns a dict; its output is read from ['logits']"),
        (lambda h: (h, h * 2), "returns a tuple; its output is read from [0]"),
        (lambda h: Fields(h.mean(), h * 2, h), "returns a Fields; its output is read from .logits"),
    ],
)
def test_the_notes_say_which_part_of_a_compound_output_is_read(wrap, words):
    places = plan(Returns(wrap), torch.randn(5, 4), 5)
    assert any(words in note for note in places.notes)
    assert places.output == places.head == "a"


def test_a_model_that_returns_no_tensor_is_refused():
    with pytest.raises(ModelError, match=r"its output is a NoneType without a tensor\. Wrap it"):
        plan(Returns(lambda _h: None), torch.randn(5, 4), 5)


def test_a_model_that_returns_classes_says_that_they_cannot_be_read():
    places = plan(Returns(lambda h: h.argmax(1)), torch.randn(5, 4), 5)
    assert places.output is None
    assert places.head is None
    assert any("output (int64 values, not floating-point ones)" in note for note in places.notes)


def test_the_identity_of_a_tensor_is_its_memory_its_form_and_its_version():
    h = torch.randn(4, 4)[:, :1]
    version = version_of(h)
    assert identity(h, version) == identity(h[:, 0], version_of(h))
    assert identity(h, version) != identity(h.clone(), version)
    assert identity(h, version) != identity(h[:3], version)
    square = torch.zeros(3, 3)
    assert identity(square, 0) != identity(square.T, 0)
    h.relu_()
    assert identity(h, version_of(h)) != identity(h, version)
    assert version_of(None) == -1
    with torch.inference_mode():
        assert version_of(torch.ones(1)) == -1


def test_what_torch_raises_is_told_without_a_line_of_torch():
    with pytest.raises(
        ModelError, match=r"it raised RuntimeError: mat1 and mat2 .* \(2x3 and 4x5\)\. Mend it"
    ) as caught:
        call(nn.Sequential(nn.Linear(4, 5)), torch.ones(2, 3))
    assert isinstance(caught.value.__cause__, RuntimeError)
