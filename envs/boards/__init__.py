"""Board games on bitboards, batched."""
