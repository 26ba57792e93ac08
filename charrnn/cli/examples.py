"""The examples at the end of each command's help; a test runs them, with files and runs of its own."""

EXAMPLES = {
    "charrnn": """
# Train on a text for ten minutes, then generate similar text.
charrnn train corpus.txt
charrnn sample
# Show what a command does, and its options.
charrnn train --help
""",
    "corpus": """
# List the corpora.
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
# Show the characters of a text that the run `corpus` does not know.
charrnn vocab other.txt --against corpus
""",
    "baseline": """
# How well do n-gram models predict the part on which train would validate?
charrnn baseline corpus.txt
# The same for names, each on its own line, with orders up to 5, as JSON.
charrnn baseline names.txt --one-per-line --order 5 --json
""",
    "train": """
# Train for three minutes. The run is named after the text: corpus.
charrnn train corpus.txt --minutes 3
# Continue this run for half an hour.
charrnn train --resume corpus --minutes 30
# Train a larger model on names: each line is a separate text.
charrnn train names.txt --one-per-line --layers 3 --units 512
""",
    "compare": """
# Compare three cells of equal size, five minutes each.
charrnn compare corpus.txt --cell lstm,gru,rnn --params 500k --minutes 5
# Compare two sizes and two rates of dropout.
charrnn compare corpus.txt --vary units=128,256 --vary dropout=0,0.3
# Continue a comparison that was interrupted.
charrnn compare --resume corpus-compare
""",
    "tune": """
# Search for an hour for good settings for a text.
charrnn tune corpus.txt
# Search only the learning rate and the dropout of a small GRU.
charrnn tune corpus.txt --cell gru --units 128 --search lr,dropout
# Go on with a search that was interrupted.
charrnn tune --resume corpus-tune
""",
    "sample": """
# Sample 500 characters from the newest run, with fewer errors than usual.
charrnn sample --temp 0.7 --length 500
# Continue a text until an empty line.
charrnn sample corpus --prime 'ROMEO:\\n' --until '\\n\\n'
# Sample twenty different names from the run `names`.
charrnn sample names --count 20 --unique
""",
    "complete": """
# Print the likeliest completion of each line of a file, by the run `sums`.
charrnn complete sums questions.txt
# Complete a typed line by a search that keeps 10 candidates.
echo '12+7=' | charrnn complete sums --beam 10
""",
    "fill": """
# Fill the gap in a line, by two models that read in opposite directions.
charrnn fill corpus --reverse-run backward 'To be, or ___ to be'
# Print the three likeliest fillings of each line of a file.
cat gaps.txt | charrnn fill corpus --best 3
""",
    "next": """
# Show the ten likeliest characters after a text, by the newest run.
charrnn next 'def '
# Show the three likeliest ones by the run `names`, as JSON.
charrnn next names Ka --top 3 --jsonl
""",
    "score": """
# Print the twenty most unusual lines. The run log knows ordinary lines.
charrnn score log app.log --by worst --top 20
# Watch a log: print lines of at least 4 bits per character.
tail -f app.log | charrnn score log --unbuffered --threshold 4
# Write a web page that shows where the model was surprised.
charrnn score corpus chapter.txt --html chapter.html
""",
    "eval": """
# Measure how well the newest run predicts another text.
charrnn eval other.txt
# Do the same with the run `corpus` and several texts, as JSON.
charrnn eval corpus other.txt chapter.txt --json
""",
    "embed": """
# Write the vectors of all lines of a file, for NumPy.
charrnn embed corpus titles.txt -o titles.npy
# Put the vectors of two models side by side.
cat titles.txt | charrnn embed corpus backward
# Print a vector for each of two files.
charrnn embed corpus --whole corpus.txt other.txt --layer all
""",
    "similar": """
# Print the ten lines of a file that are most similar to a text.
charrnn similar corpus --in titles.txt 'green bottles'
# Print the most similar line to each line of another file.
cat candidates.txt | charrnn similar corpus --in titles.txt --top 1 --whiten
""",
    "map": """
# Draw a map of lines. Each is a label, a tab and a text.
charrnn map corpus pairs.txt --labels --plot map.png
# Print the places of all lines on a map of another kind.
charrnn map corpus titles.txt --method tsne
""",
    "probe": """
# Does the newest run know the mood of reviews? Lines are LABEL, tab, TEXT.
charrnn probe --train reviews.tsv
# Use all layers of the run `corpus`, and write the probe to a file.
charrnn probe corpus --train reviews.tsv --layer all -o mood.safetensors
# Do the same with two models that read in opposite directions.
charrnn probe corpus backward --train reviews.tsv
""",
    "label": """
# Label each line of a file with a probe, or with a run of train --labels.
charrnn label mood.safetensors lines.txt
# Label lines as they come, with the probabilities of all labels.
tail -f app.log | charrnn label mood.safetensors --unbuffered --jsonl
""",
    "neurons": """
# Show which unit of the newest run follows which feature of a text.
charrnn neurons chapter.txt
# Show the text in the colours of one unit of the run `corpus`.
charrnn neurons corpus chapter.txt --unit layer0/h/3
# Write a web page on which any of the best units can be chosen.
charrnn neurons corpus chapter.txt --html neurons.html
""",
    "runs": """
# List the runs in the default folder, checkpoints.
charrnn runs
# List the runs in another folder, as JSON.
charrnn runs --checkpoints elsewhere --json
""",
    "inspect": """
# Show the newest run.
charrnn inspect
# Show one checkpoint, as JSON.
charrnn inspect checkpoints/corpus/best.safetensors --json
""",
    "report": """
# Write a web page about the newest run, named after it.
charrnn report
# Write one about the run `corpus`, in place of an older one.
charrnn report corpus --html corpus-report.html --force
""",
    "verify": """
# Check that all checkpoints of two runs are intact.
charrnn verify corpus names
# Check whether two runs have the same weights.
charrnn verify corpus elsewhere/corpus --equal
""",
    "gradflow": """
# Show how far back the gradients of the newest run reach.
charrnn gradflow
# Compare untrained networks of three cells, and draw a picture.
charrnn gradflow --cell rnn,lstm,gru --layers 1 --plot gradients.png
# Compare two runs on the same text.
charrnn gradflow corpus names chapter.txt --reach 50
""",
    "bench": """
# Measure how fast this machine trains and samples a model.
charrnn bench --layers 2 --units 512
# Estimate how long an epoch of a text would take.
charrnn bench corpus.txt --cell gru
""",
    "devices": """
# Show the processor and the GPUs.
charrnn devices
# Print the same as JSON.
charrnn devices --json
""",
    "cells": """
# List the cells, with the parameters of a network of this size.
charrnn cells --layers 3 --units 512
# Show the equations of one cell.
charrnn cells gru
""",
    "gradcheck": """
# Check one cell.
charrnn gradcheck --cell lstm
# Also check the connections between layers.
charrnn gradcheck --cell gru --stack residual --layers 3
""",
}
