"""Where `dermalink` begins: `--version` is answered before anything heavy is imported, and Ctrl-C is an orderly end."""

import sys

from dermalink_protocol.version import __version__

INTERRUPTED = 130  # as in `exit_codes`, which is not there yet when Ctrl-C comes while it is imported


def main() -> int:
    """Run the command line; the return value is the exit code (see `exit_codes`)."""
    try:
        if sys.argv[1:] == ["--version"]:
            sys.stdout.write(f"dermalink {__version__}\n")
            return 0
        from dermalink.cli.app import run

        return run()
    except KeyboardInterrupt:  # from an import: whatever runs takes it by itself
        if "stop" in sys.argv[1:]:
            from dermalink.cli.lift import INTERRUPTED as NOT_SENT

            sys.stderr.write(f"{NOT_SENT}\n")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
