"""Whether the application on this machine is ready: exit status 0 or 1, for containers.

    python -m rag_app.web.healthcheck [URL]

It asks `/readyz` and needs nothing but the standard library, so it costs little.
"""

import os
import sys
import urllib.request
from urllib.error import URLError

_SECONDS = 8


def main(arguments: list[str]) -> int:
    """Ask, and say on stderr why it is not ready."""
    port = os.environ.get("RAG_APP_SERVER__PORT") or "7860"
    url = arguments[0] if arguments else f"http://127.0.0.1:{port}/readyz"
    if not url.startswith("http://"):
        sys.stderr.write(f"{url} is no http:// address\n")
        return 2
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=_SECONDS) as response:
            return 0 if response.status == 200 else 1
    except (URLError, OSError) as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
