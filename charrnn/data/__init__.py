"""The input of training: a text as ids of a vocabulary, its parts, and the batches made of them."""
