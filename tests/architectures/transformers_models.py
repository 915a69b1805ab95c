"""Networks of the transformers library, from tiny configurations."""

from functools import partial
from importlib.util import find_spec

import torch
from tests.architectures.entry import Entry, N, normal, padding, tokens

SMALL = {"vocab_size": 24, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
GLOBALS = {"num_labels": 3}
PADDED = {"*": "npc mask", "classifier": "nc", "pre_classifier": "nc", "*pooler*": "nc", "score": "npc mask"}
BOTH = {"*": "npc mask", "decoder*": "npc decoded", "*encoder_attn*": "npc decoded", "lm_head": "npc decoded",
        "*EncDecAttention.[kv]": "npc mask", "*encoder_attn.[kv]_proj": "npc mask"}  # fmt: skip


def made(config, model, **settings):
    import transformers

    net = getattr(transformers, model)(getattr(transformers, config)(**settings))
    return net.eval()


def texts(length=6, **more):
    return {"input_ids": tokens(length)(), "attention_mask": padding(length).long(), **more}


def pairs(length=6, decoded=4):
    other = {"decoder_input_ids": tokens(decoded)(), "decoder_attention_mask": padding(decoded).long()}
    return {**texts(length), **other}


def one_mask():
    return {"mask": padding(6)}


def two_masks():
    return {"mask": padding(6), "decoded": padding(4)}


def texts_entry(name, config, model, axes=PADDED, **settings):
    return Entry(name=name, build=partial(made, config, model, **{**SMALL, **settings}), inputs=texts, masks=one_mask,
                 axes=axes)  # fmt: skip


def images_entry(name, config, model, axes, size=16, **settings):
    return Entry(name=name, build=partial(made, config, model, **settings), axes=axes,
                 inputs=lambda: {"pixel_values": normal(3, size, size)()})  # fmt: skip


BART = {"vocab_size": 24, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
        "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "max_position_embeddings": 16}  # fmt: skip
VIT = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 16,
       "patch_size": 4, "num_labels": 3}  # fmt: skip
PATCHES = {"*": "npc", "*patch_embeddings.projection": "ncpp", "classifier": "nc", "*pooler*": "nc"}
CAUSAL = {"*": "npc mask"}

ENTRIES = [
    texts_entry("BERT", "BertConfig", "BertForSequenceClassification", num_labels=3),
    texts_entry("RoBERTa", "RobertaConfig", "RobertaModel", max_position_embeddings=32),
    texts_entry("ELECTRA", "ElectraConfig", "ElectraModel", embedding_size=8),
    texts_entry("ALBERT", "AlbertConfig", "AlbertModel", embedding_size=8),
    texts_entry("Llama", "LlamaConfig", "LlamaForCausalLM", axes=CAUSAL),
    texts_entry("Mistral", "MistralConfig", "MistralModel", axes=CAUSAL, num_key_value_heads=1),
    texts_entry("Qwen2", "Qwen2Config", "Qwen2Model", axes=CAUSAL, num_key_value_heads=1),
    texts_entry("GPT-NeoX", "GPTNeoXConfig", "GPTNeoXModel", axes=CAUSAL),
    Entry(name="GPT-2", inputs=texts, masks=one_mask, axes=CAUSAL,
          build=partial(made, "GPT2Config", "GPT2Model", vocab_size=24, n_positions=16, n_embd=8, n_layer=2, n_head=2,
                        bos_token_id=1, eos_token_id=2)),
    Entry(name="OPT", inputs=texts, masks=one_mask, axes=CAUSAL,
          build=partial(made, "OPTConfig", "OPTModel", vocab_size=24, hidden_size=8, num_hidden_layers=2, ffn_dim=16,
                        num_attention_heads=2, max_position_embeddings=16, word_embed_proj_dim=8)),
    Entry(name="DistilBERT", inputs=texts, masks=one_mask, axes={**PADDED, "relu": "nc"},
          build=partial(made, "DistilBertConfig", "DistilBertForSequenceClassification", vocab_size=24, dim=8,
                        n_layers=2, n_heads=2, hidden_dim=16, num_labels=3)),
    Entry(name="T5", inputs=pairs, masks=two_masks, axes=BOTH,
          build=partial(made, "T5Config", "T5Model", vocab_size=24, d_model=8, d_kv=4, d_ff=16, num_layers=1,
                        num_heads=2)),
    Entry(name="BART", inputs=pairs, masks=two_masks, axes=BOTH, build=partial(made, "BartConfig", "BartModel", **BART)),
    Entry(name="Marian", inputs=pairs, masks=two_masks, axes=BOTH,
          build=partial(made, "MarianConfig", "MarianModel", **BART, pad_token_id=0)),
    images_entry("ViT", "ViTConfig", "ViTForImageClassification", PATCHES, **VIT),
    images_entry("DeiT", "DeiTConfig", "DeiTForImageClassification", PATCHES, **VIT),
    images_entry("DINOv2", "Dinov2Config", "Dinov2Model", PATCHES,
                 **{k: v for k, v in VIT.items() if k != "intermediate_size"}, mlp_ratio=2),
    images_entry("Swin", "SwinConfig", "SwinForImageClassification", PATCHES, image_size=16, patch_size=2, embed_dim=8,
                 depths=[1, 1], num_heads=[2, 2], window_size=4, num_labels=3),
    images_entry("ResNet", "ResNetConfig", "ResNetForImageClassification", {"*": "ncpp", "classifier.1": "nc"},
                 embedding_size=4, hidden_sizes=[4, 8], depths=[1, 1], num_labels=3),
    images_entry("ConvNeXt", "ConvNextConfig", "ConvNextForImageClassification",
                 {"*": "ncpp", "*.pwconv*": "nppc", "*.act": "nppc", "*stages*.layernorm": "nppc",
                  "*encoder*layers*.layernorm": "nppc", "convnext.layernorm": "nc", "classifier": "nc"},
                 hidden_sizes=[4, 8], depths=[1, 1], num_stages=2, patch_size=2, num_labels=3),
    images_entry("MobileNetV2", "MobileNetV2Config", "MobileNetV2ForImageClassification",
                 {"*": "ncpp", "classifier": "nc"}, size=32, image_size=32, depth_multiplier=0.25, num_labels=3),
    Entry(name="Whisper", axes={"*": "npc", "encoder.conv*": "ncp", "encoder:gelu*": "ncp"},
          build=partial(made, "WhisperConfig", "WhisperModel", **{k: v for k, v in BART.items()
                        if k != "max_position_embeddings"}, num_mel_bins=4, max_source_positions=8,
                        max_target_positions=8, pad_token_id=0, bos_token_id=1, eos_token_id=2,
                        decoder_start_token_id=1),
          inputs=lambda: {"input_features": normal(4, 16)(), "decoder_input_ids": tokens(4)()}),
    Entry(name="Wav2Vec2", axes={"*": "npc", "*feature_extractor*": "ncp", "*pos_conv_embed.[ca]*": "ncp"},
          build=partial(made, "Wav2Vec2Config", "Wav2Vec2Model", hidden_size=8, num_hidden_layers=1,
                        num_attention_heads=2, intermediate_size=16, conv_dim=[4, 4], conv_stride=[2, 2],
                        conv_kernel=[4, 2], num_feat_extract_layers=2, num_conv_pos_embeddings=4,
                        num_conv_pos_embedding_groups=2),
          inputs=lambda: {"input_values": torch.randn(N, 64)}),
] if find_spec("transformers") else []  # fmt: skip
