#!/bin/sh
# The table of docs/cells.md, "Which cell": eight cells with equal numbers of parameters, for equal times.
#
#     sh benchmarks/compare.sh TEXT FOLDER [MINUTES [SEEDS [PARAMETERS]]]
#
# TEXT is Tiny Shakespeare (charrnn corpus tinyshakespeare). Writes the comparison, and cells.png and cells.html, into
# FOLDER, and prints the ranking. By default each of 16 runs takes three minutes. Called again, it goes on.
set -e
minutes=${3:-3} seeds=${4:-2} parameters=${5:-500k}
cells=rnn,lstm,lstm-1997,lstm-coupled,lstm-peephole,gru,mut1,mgu
mkdir -p "$2"
if [ -e "$2/cells/comparison.json" ]; then
    set -- "$2" --resume "$2/cells"
else
    set -- "$2" "$1" --cell "$cells" --params "$parameters" --minutes "$minutes" --seeds "$seeds" --name cells
    set -- "$@" --checkpoints "$1"
fi
folder=$1
shift
charrnn compare "$@" --plot "$folder/cells.png" --html "$folder/cells.html"
