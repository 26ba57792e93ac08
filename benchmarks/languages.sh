#!/bin/sh
# The first example of docs/representations.md: what the state of one model knows of eight languages, and its picture.
#
#     sh benchmarks/languages.sh CATALOGUES FOLDER [MINUTES]
#
# CATALOGUES is a folder of unpacked packages (benchmarks/languages.py says which). Writes into FOLDER the lines, the
# run, and languages.png; prints the report of the probe.
set -e
here=$(cd "$(dirname "$0")" && pwd)
minutes=${3:-15}
python "$here/languages.py" "$1" "$2"
cd "$2"
charrnn train lines.txt --name languages --checkpoints . --one-per-line --minutes "$minutes" -q
charrnn probe ./languages --train train.tsv --test test.tsv --layer all --state all
charrnn map ./languages test.tsv --labels --layer all --state all --method tsne --plot languages.png
