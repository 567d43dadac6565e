"""The decoder: its shape, its weights on disk, Hugging Face in and out, sampling."""
