"""The backends that train: each folder offers what `contract.py` names."""
