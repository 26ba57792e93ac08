#!/bin/sh
# What must be known of a GPU that charrnn has not run on: that it is used, that it computes what the processor does, how
# fast it trains. Run from the root of the repository, under a Python that has JAX with CUDA:
#
#     benchmarks/gpu_check.sh [SECONDS [OPTION ...]]
#
# SECONDS (300) are those of the table of gpu.py; the OPTIONs go to it. Where there is no network, WHEELS names a folder
# of wheels to be installed first. DEVICE (gpu) is that of `charrnn train`.
set -u
if [ -n "${WHEELS:-}" ]; then
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/gpu_check \
        "$WHEELS"/*.whl || exit 1
fi
export PYTHONPATH="$PWD:/tmp/gpu_check" PYTHONUNBUFFERED=1 KERAS_BACKEND=jax TF_CPP_MIN_LOG_LEVEL=3
seconds=${1:-300}
[ $# -gt 0 ] && shift
device=${DEVICE:-gpu}
command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
python3 -m charrnn devices
echo "## Losses"
python3 benchmarks/gpu_parity.py --device "$device"
echo "## Speed"
python3 benchmarks/gpu.py --device "$device" --budget "$seconds" --torch python3 "$@"
