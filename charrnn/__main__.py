"""Where the `charrnn` command begins, and `python -m charrnn`: signals first, then everything else."""

from charrnn.cli import signals


def main() -> None:
    """Run the command line."""
    signals.leave_early()
    from charrnn.cli import app
    from charrnn.lean import leave_out_unneeded

    leave_out_unneeded()
    try:
        app.main()
    finally:
        signals.ignore()


if __name__ == "__main__":
    main()
