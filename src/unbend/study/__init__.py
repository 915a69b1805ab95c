"""The one fold over batches, and what follows from it."""
