"""How results are shown to a person: tables, charts, colours, the live view of a training run."""
