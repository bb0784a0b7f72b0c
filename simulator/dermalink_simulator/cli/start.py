"""Where `dermalink-sim` begins: `--version` is answered before anything heavy is imported, and Ctrl-C ends it."""

import sys

from dermalink_protocol.version import __version__

INTERRUPTED = 130  # as in `exit_codes`, which is not there yet when Ctrl-C comes while it is imported


def main() -> int:
    """Run the command line; the return value is the exit code (see `exit_codes`)."""
    try:
        if sys.argv[1:] == ["--version"]:
            sys.stdout.write(f"dermalink-sim {__version__}\n")
            return 0
        from dermalink_simulator.cli.app import run

        return run()
    except KeyboardInterrupt:  # from an import: whatever runs takes it by itself
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
