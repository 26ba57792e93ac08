# Read by the scripts for a GPU. Where there is no network, WHEELS names a folder of wheels to be installed first.
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}" PYTHONUNBUFFERED=1 KERAS_BACKEND=jax TF_CPP_MIN_LOG_LEVEL=3
if [ -n "${WHEELS:-}" ]; then
    installed=$(mktemp -d)
    python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --target "$installed" "$WHEELS"/*.whl || exit 1
    PYTHONPATH="$PYTHONPATH:$installed"
fi
device=${DEVICE:-gpu}
