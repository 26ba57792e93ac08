#!/bin/sh
# Real trainings on a GPU: how long to 1.4697 nats on Tiny Shakespeare, what MINUTES (3) reach, and whether a run that is
# killed and resumed ends with the same bytes as one that was not. Run from the root of the repository, under a Python that
# has JAX with CUDA:
#
#     benchmarks/gpu_train.sh TEXT [MINUTES [OPTION ...]]
#
# The OPTIONs go to `charrnn train`; WHEELS and DEVICE are those of gpu_check.sh.
set -eu
. benchmarks/gpu_environment.sh
text=$1
minutes=${2:-3}
shift
[ $# -gt 0 ] && shift
echo "## $minutes minutes"
python3 benchmarks/gpu.py --device "$device" --train "$text" --minutes "$minutes" --options "$@"

echo "## Killed and resumed"
export XLA_FLAGS=--xla_gpu_deterministic_ops=true
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
where="--device $device --checkpoints $folder --quiet"
set -- "$text" --steps 300 --save-every 100 --val 0 --seed 1 "$@"
# shellcheck disable=SC2086
python3 -m charrnn train "$@" $where --name unbroken
# shellcheck disable=SC2086
python3 -m charrnn train "$@" $where --name killed &
until [ -e "$folder/killed/step-00000100.safetensors" ]; do sleep 0.05; done
kill -9 $!
wait $! || true
ls "$folder/killed"
# shellcheck disable=SC2086
python3 -m charrnn train --resume killed $where
python3 -m charrnn verify "$folder/unbroken/step-00000300.safetensors" "$folder/killed/step-00000300.safetensors" --equal
