"""Put first on the path of a command, this ends it at its first use of the network."""

import os
import socket
from typing import Any

STATUS = 99


def _blocked(*arguments: Any, **_: Any) -> Any:
    os.write(2, f"the network was used: {arguments}".encode())
    os._exit(STATUS)


socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = _blocked
socket.getaddrinfo = socket.gethostbyname = _blocked
