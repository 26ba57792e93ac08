#!/bin/sh
# What a search of 20 minutes finds for the first 200,000 characters of a text, against the default settings of the same
# length for each run. Run from the root of the repository:
#
#     benchmarks/tune.sh TEXT [MINUTES [OPTION ...]]
#
# MINUTES (20) are those of the whole search; the OPTIONs go to `charrnn tune`.
set -eu
text=$1
minutes=${2:-20}
shift
[ $# -gt 0 ] && shift
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -c 'import sys; print(end=open(sys.argv[1], encoding="utf-8", newline="").read(200_000))' "$text" > "$folder/text.txt"
python3 -m charrnn tune "$folder/text.txt" --minutes "$minutes" --checkpoints "$folder" --name search "$@"
python3 -m charrnn tune search --checkpoints "$folder" --json | python3 -c '
import json, sys
found = json.load(sys.stdin)
best, default = found["best"], found["default"]
print("default %.4f, winner %.4f bits per %s; %d trials of %g minutes" % (
    default["bits_per_char"], best["bits_per_char"], found["unit"], len(found["trials"]), default["minutes"]))
'
