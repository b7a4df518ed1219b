"""Gridworlds, batched; the one-player ones expose their exact dynamics."""
