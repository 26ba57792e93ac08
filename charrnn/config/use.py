"""The settings of models in use."""

# The scores by which lines can be ranked; the first is the default. charrnn.inference.lines.Score explains each.
RANKS = ("mean", "worst", "excess")
# From which guess ranks are estimated: an error of a few percent, in seconds.
RANK_SAMPLES = 10_000
# Of ordinary lines, which thresholds are proposed from.
QUANTILES = (0.99, 0.999, 0.9999)
# What marks the gap in a text that is filled; how many fillings of each length are tried; and the greatest length.
GAP, CANDIDATES, LONGEST_FILLING = "___", 20, 20
# How much of a text is read to see what units do, and how much of it a page shows.
READ_LIMIT, SHOWN = 200_000, 2_000
# How the states after the characters of a text become one vector; the first is the default.
# charrnn.inference.vectors.POOLS computes them.
POOLS = ("mean", "last", "max", "first-last")
# Whose states: of the highest layer, and the field of its state.
LAYER, STATE = -1, "h"
# How many of the most similar lines are shown.
SIMILAR = 10
# The highest order of the n-gram models that a text is compared with, and the highest that may be asked for.
NGRAM_ORDER, HIGHEST_ORDER = 8, 12
# How vectors become places on a map; the first is the default.
MAPS = ("pca", "tsne")
# How the weights of a probe are kept small; the first is the default.
PENALTIES = ("l2", "l1")
# How far back the gradient of a loss is followed, and from how many positions of a text.
REACH, POSITIONS = 200, 64
# Memory grows with both; more of either is a slip of the hand.
LONGEST_REACH, MOST_POSITIONS = 100_000, 10_000
