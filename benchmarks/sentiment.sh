#!/bin/sh
# The second example of docs/representations.md: the mood of film reviews, by a probe and learned from end to end.
#
#     sh benchmarks/sentiment.sh TRAIN.csv DEV.csv PACKAGES FOLDER [MINUTES]
#
# The tables have columns `label` and `sentence`. PACKAGES is a folder of unpacked packages (benchmarks/english.py says
# which). Writes into FOLDER the texts, the runs, and unit.png; prints the reports.
set -e
here=$(cd "$(dirname "$0")" && pwd)
train=$(realpath "$1")
dev=$(realpath "$2")
packages=$(realpath "$3")
minutes=${5:-50}
fields="--label-field label --field sentence"
mkdir -p "$4"
cd "$4"
python "$here/english.py" "$train" "$packages" english.txt
charrnn train english.txt --name english --checkpoints . --one-per-line --lower --min-count 30 --units 320 --batch 64 \
    --seq 128 --dropout 0.05 --val 0.01 --minutes "$minutes" -q
charrnn probe ./english --train "$train" --test "$dev" $fields --layer all --state all | tee probe.txt
python "$here/copies.py" "$train" copies.csv val.csv
for seed in 1 2; do
    for start in "" "--init ./english"; do
        name="reviews${start:+-init}-$seed"
        charrnn train copies.csv $fields --val-file val.csv $start --lower --name "$name" --checkpoints . --units 320 \
            --dropout 0.3 --lr 0.001 --epochs 2 --seq 128 --batch 32 --optimizer adamw --weight-decay 0.1 --seed "$seed" -q
        charrnn eval "./$name" "$dev" $fields --unknown skip
    done
done
charrnn probe ./reviews-init-1 --train "$train" --test "$dev" $fields --layer all --state all | tee reviews.txt
unit=$(sed -n 's/^one unit alone: \([^ ]*\).*/\1/p' reviews.txt)
python "$here/unit.py" ./reviews-init-1 "$dev" "$unit" unit.png
