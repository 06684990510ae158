"""A mail server that throws all away, as fast as Python can: `python -m benchmarks.smtp_sink` prints its port.

It reads the data in blocks and looks only for its end, so that it is never what the sender waits for.
"""

from __future__ import annotations

import socket
import threading

_ANSWERS = {
    b"EHLO": b"250-sink\r\n250 PIPELINING\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}
END = b"\r\n.\r\n"


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    say, held, in_data = connection.sendall, b"", False
    say(b"220 sink\r\n")
    while block := connection.recv(1 << 17):
        held += block
        while held:
            if in_data:
                if held.endswith(END) or END in held:
                    held, in_data = held[held.index(END) + len(END) :], False
                    say(b"250 taken\r\n")
                else:
                    held = held[-4:] if len(held) > 4 else held
                    break
            else:
                line, found, rest = held.partition(b"\r\n")
                if not found:
                    break
                held, verb = rest, line[:4].upper()
                in_data = verb == b"DATA"
                say(_ANSWERS.get(verb, b"250 ok\r\n"))


if __name__ == "__main__":
    main()
