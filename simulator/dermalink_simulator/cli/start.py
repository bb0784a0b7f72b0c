"""Where `dermalink-sim` begins: `--version` is answered before anything heavy is imported."""

import sys

from dermalink_protocol.version import __version__


def main() -> int:
    """Run the command line; the return value is the exit code (see `exit_codes`)."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write(f"dermalink-sim {__version__}\n")
        return 0
    from dermalink_simulator.cli.app import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
