"""The planning pass on transformers' own models: whose mask is whose, at equal and at unequal lengths."""

import pytest
import torch
from tests.capture.flow.cases import N, mask, tokens

from unbend.capture.flow import flow

transformers = pytest.importorskip("transformers")

SMALL = {"vocab_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8}
ENCODED, DECODED = "input['attention_mask']", "input['decoder_attention_mask']"


def padded(length):
    return {"input_ids": tokens(length, 30), "attention_mask": mask(length, length, 4, length, 3)}


def twice_padded(length, decoded):
    both = {"decoder_input_ids": tokens(decoded, 30), "decoder_attention_mask": mask(decoded, decoded, 3, 4, decoded)}
    return {**padded(length), **both}


def masks(shown, *names):
    found = [shown.site(name).mask for name in names]
    assert all(one is None or one.meaning == "tokens" for one in found)
    return [one and one.name for one in found]


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_gpt2(attention):
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=32, n_positions=16, n_embd=8, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2,
        attn_implementation=attention,
    )  # fmt: skip
    shown = flow(transformers.GPT2Model(config), padded(6), N)
    assert set(shown.site("drop").feeders) == {"wte", "wpe"}
    assert set(shown.site("h.0").feeders) == {"drop", "h.0.attn.c_proj", "h.0.mlp.c_proj"}
    assert shown.site("h.1.ln_1").feeders == ("h.0",)
    assert masks(shown, "h.0.ln_1", "h.1.mlp.act", "h.1.attn.c_attn") == [ENCODED] * 3
    for name, width in {"h.0.attn.c_attn": 24, "h.0.mlp.act": 32, "ln_f": 8}.items():
        assert (shown.site(name).axes, shown.site(name).width) == (("sample", "position", "unit"), width)
    assert not any(site.is_assumed for site in shown.sites)


def test_bert_has_a_mask_at_every_token_and_none_behind_the_pooler():
    torch.manual_seed(0)
    shown = flow(transformers.BertModel(transformers.BertConfig(**SMALL, intermediate_size=16)), padded(6), N)
    names = [f"embeddings.{kind}_embeddings" for kind in ("word", "position", "token_type")]
    assert set(shown.site("embeddings.LayerNorm").feeders) == set(names)
    assert masks(shown, "encoder.layer.0.output.LayerNorm", "pooler.dense") == [ENCODED, None]
    assert shown.site("pooler.dense").axes == ("sample", "unit")


def test_a_mask_that_the_model_passes_by_where_nothing_is_padded_is_found_all_the_same():
    torch.manual_seed(0)
    net = transformers.BertModel(transformers.BertConfig(**SMALL, intermediate_size=16)).eval()
    whole = {"input_ids": tokens(6, 30), "attention_mask": mask(6, 6, 6, 6, 6)}
    shown = flow(net, whole, N)
    names = ["embeddings.LayerNorm", "encoder.layer.0.output.LayerNorm", "pooler.dense"]
    assert masks(shown, *names) == [ENCODED, ENCODED, None]
    assert bool((whole["attention_mask"] == 1).all())  # the caller's own stays as it is
    assert not shown.writes


@pytest.mark.parametrize("decoded", [6, 5])
def test_a_t5_decoder_is_read_under_its_own_mask(decoded):
    torch.manual_seed(0)
    config = transformers.T5Config(
        vocab_size=32, d_model=8, d_kv=4, d_ff=16, num_layers=2, num_heads=2, decoder_start_token_id=0
    )
    shown = flow(transformers.T5Model(config), twice_padded(6, decoded), N)
    feeder = shown.site("decoder.block.0.layer.1.EncDecAttention.k").feeders
    assert shown.site(feeder[0]).alias_of in {None, "encoder.final_layer_norm"}
    assert masks(
        shown, "encoder.block.1.layer.1.DenseReluDense.wi", "decoder.block.1.layer.2.DenseReluDense.wi",
        "decoder.block.0.layer.1.EncDecAttention.k", "decoder.block.0.layer.1.EncDecAttention.q",
    ) == [ENCODED, DECODED, ENCODED, DECODED]  # fmt: skip


@pytest.mark.parametrize("decoded", [6, 5])
def test_a_bart_decoder_is_read_under_its_own_mask(decoded):
    torch.manual_seed(0)
    config = transformers.BartConfig(
        vocab_size=32, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=16,
    )  # fmt: skip
    shown = flow(transformers.BartModel(config), twice_padded(6, decoded), N)
    assert masks(
        shown, "encoder.layers.0.fc1", "decoder.layers.0.fc1", "decoder.layers.0.encoder_attn.k_proj"
    ) == [ENCODED, DECODED, ENCODED]  # fmt: skip
    assert shown.site("encoder.layers.0.fc2").feeders == ("encoder.layers.0.activation_fn",)


def test_llama_with_its_hand_written_norms_and_rotary_positions():
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**SMALL, intermediate_size=16, num_key_value_heads=1)
    shown = flow(transformers.LlamaModel(config), padded(6), N)
    assert set(shown.site("layers.0.mlp.down_proj").feeders) == {"layers.0.mlp.act_fn", "layers.0.mlp.up_proj"}
    assert masks(shown, "layers.1.mlp.down_proj", "norm") == [ENCODED, ENCODED]
    assert shown.site("layers.1.mlp.down_proj").axes == ("sample", "position", "unit")
    by_hand = [site.name for site in shown.sites if site.place[1] and "norm" in site.place[0]]
    assert by_hand == []
