"""The examples at the end of each command's help; a test runs them. The files and runs that they name are its own."""

EXAMPLES = {
    "charrnn": """
# Train ten minutes on a text, then write new text like it.
charrnn train corpus.txt
charrnn sample
# What a command does, and its options.
charrnn train --help
""",
    "corpus": """
# List what there is.
charrnn corpus
# Write Tiny Shakespeare to corpora/tinyshakespeare.txt.
charrnn corpus tinyshakespeare
# Make a text of Python programs from the modules on this machine.
charrnn corpus python --size 500K -o python.txt
""",
    "vocab": """
# Count the characters of a text, or of all text files in a folder.
charrnn vocab corpus.txt
charrnn vocab books --include '*.txt'
# Which characters of a text the model of the run `corpus` does not know.
charrnn vocab other.txt --against corpus
""",
    "train": """
# Train for three minutes. The run is named after the text: corpus.
charrnn train corpus.txt --minutes 3
# Go on with it for half an hour.
charrnn train --resume corpus --minutes 30
# A larger model of names, where each line is a text of its own.
charrnn train names.txt --lines --layers 3 --units 512
""",
    "sample": """
# 500 characters by the newest run, a little more careful than usual.
charrnn sample --temp 0.7 --length 500
# Go on from a text, until an empty line.
charrnn sample corpus --prime 'ROMEO:\\n' --until '\\n\\n'
# Twenty different names, by the run `names`.
charrnn sample names --count 20 --unique
""",
    "complete": """
# The likeliest completion of each line of a file, by the run `sums`.
charrnn complete sums questions.txt
# Of a line that is typed, the best of 10 that are followed side by side.
echo '12+7=' | charrnn complete sums --beam 10
""",
    "next": """
# The ten characters that are likeliest after a text, by the newest run.
charrnn next 'def '
# The likeliest three by the run `names`, as JSON.
charrnn next names Ka --top 3 --jsonl
""",
    "score": """
# The twenty oddest lines of a log, by a model of ordinary ones.
charrnn score log app.log --by worst --top 20
# Watch a log: print the lines that cost more than 4 bits per character.
tail -f app.log | charrnn score log --unbuffered --threshold 4
# Write a web page that shows where the model was surprised.
charrnn score corpus chapter.txt --html chapter.html
""",
    "eval": """
# How well the newest run predicts another text.
charrnn eval other.txt
# The same of the run `corpus` and several texts, as JSON.
charrnn eval corpus other.txt chapter.txt --json
""",
    "runs": """
# The runs in the folder of runs, which is checkpoints.
charrnn runs
# Those of another folder, as JSON.
charrnn runs --checkpoints elsewhere --json
""",
    "inspect": """
# The newest run.
charrnn inspect
# One checkpoint, as JSON.
charrnn inspect checkpoints/corpus/best.safetensors --json
""",
    "verify": """
# Whether all checkpoints of two runs are whole.
charrnn verify corpus names
# Whether two runs have the same weights.
charrnn verify corpus elsewhere/corpus --equal
""",
    "bench": """
# How fast this machine trains and samples a model.
charrnn bench --layers 2 --units 512
# How long an epoch of a text would take.
charrnn bench corpus.txt --cell gru
""",
    "devices": """
# Processor and GPUs.
charrnn devices
# The same as JSON.
charrnn devices --json
""",
    "cells": """
# List the cells, with the parameters of a network of this size.
charrnn cells --layers 3 --units 512
# Show the equations of one.
charrnn cells gru
""",
    "gradcheck": """
# Check one cell.
charrnn gradcheck --cell lstm
# Check how layers are put together, too.
charrnn gradcheck --cell gru --stack residual --layers 3
""",
}
