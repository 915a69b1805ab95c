"""Hugging Face's `Trainer`, watched by a callback: `python examples/hugging_face_trainer.py`.

A small transformer tells whether a sequence holds more sevens than threes. Labels are a keyword of its forward, where
the watch finds them.
"""

import torch
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

from unbend.integrations.huggingface import watch_callback


def main(steps: int = 60):
    torch.manual_seed(0)
    words = torch.randint(10, (512, 12))
    labels = ((words == 7).sum(1) > (words == 3).sum(1)).long()
    rows = [{"input_ids": x, "labels": y} for x, y in zip(words, labels, strict=True)]
    config = BertConfig(
        vocab_size=10, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, num_labels=2
    )
    model = BertForSequenceClassification(config)
    callback = watch_callback(every=10, file="run.unbend")
    arguments = TrainingArguments(
        output_dir="trainer", max_steps=steps, per_device_train_batch_size=64, learning_rate=1e-3, logging_steps=10,
        report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True, seed=0,
    )  # fmt: skip
    Trainer(model, arguments, train_dataset=rows, callbacks=[callback]).train()

    for layer in callback.watch.history.about.layers:
        if layer.kind == "block":
            print(layer.name, "effective rank:", callback.watch.history.layer(layer.name, "rank").round(1))
    return model, callback.watch


if __name__ == "__main__":
    main()
