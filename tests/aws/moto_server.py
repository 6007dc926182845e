"""Runs moto, patched, on loopback as AWS. Prints its address. It ends when its standard input closes, and so with the
process that started it."""

import argparse
import logging
import sys

import moto_authorization
import moto_patches
from moto.server import ThreadedMotoServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without-iam", action="store_true", help="every caller may do everything")
    parser.add_argument("--unpatched", action="store_true", help="moto without patches")
    arguments = parser.parse_args()
    if not arguments.unpatched:
        moto_patches.apply()
        if not arguments.without_iam:
            moto_authorization.apply()
    # The log has errors only, not a line for each request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
