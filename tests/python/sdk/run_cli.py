"""Run an SDK's command line against a given bus: `run_cli.py FOLDER URL ARGUMENT...`

The command lines have no option for the address. Only here, and only in this process, the default address of the
client's constructor is replaced; the SDK's files stay as they were published.
"""

import sys


def main() -> None:
    folder, url, *arguments = sys.argv[1:]
    sys.path.insert(0, folder)
    from intent_bus import IntentClient, cli

    # `base_url` is the first parameter with a default, in all versions that have a command line.
    init = IntentClient.__init__
    init.__defaults__ = (url, *init.__defaults__[1:])
    sys.argv = ["intent-bus", *arguments]
    cli.main()


if __name__ == "__main__":
    main()
