"""What JAX compiles is kept on disk for the other processes of a session of tests: each compiles the same tiny models.

Every worker has a folder of its own, in which its tests and their commands follow each other: JAX writes its entries in
place, and who reads one that is half written, or was cut off, warns of it on stderr.
"""

# For processes that are killed, or run side by side: they read, and write nothing.
READ_ONLY = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1e9"}


def compiled_once(folder: str) -> dict[str, str]:
    """Return the environment that lets JAX keep everything it compiles in a folder, however small or quickly made."""
    return {
        "JAX_COMPILATION_CACHE_DIR": folder,
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
