#!/bin/sh
# What must be known of a GPU that charrnn has not run on: that it is used, that it computes what the processor does, how
# fast it trains. Run from the root of the repository, under a Python that has JAX with CUDA:
#
#     benchmarks/gpu_check.sh [SECONDS [OPTION ...]]
#
# SECONDS (300) are those of the table of gpu.py; the OPTIONs go to it. DEVICE (gpu) is that of `charrnn train`; for WHEELS
# see gpu_environment.sh.
set -u
. benchmarks/gpu_environment.sh
seconds=${1:-300}
[ $# -gt 0 ] && shift
command -v nvidia-smi > /dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
python3 -m charrnn devices
echo "## Losses"
python3 benchmarks/gpu_parity.py --device "$device"
echo "## Speed"
python3 benchmarks/gpu.py --device "$device" --budget "$seconds" --torch python3 "$@"
