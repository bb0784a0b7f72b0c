"""The far end for smpclient: opens a PTY, prints its path, and answers echo and buffer sizes, as smp frames."""

import os
import pty
import tty
from collections.abc import Generator

from smp import header, os_management, packet

BUFFER_BYTES, BUFFERS = 512, 4


def answer(request: bytes) -> bytes:
    """The reply to one of the two requests that are asked here."""
    head = header.Header.loads(request[: header.Header.SIZE])
    if head.command_id == header.CommandId.OSManagement.MCUMGR_PARAMETERS:
        parameters = os_management.MCUMgrParametersReadResponse
        return bytes(parameters(sequence=head.sequence, buf_size=BUFFER_BYTES, buf_count=BUFFERS))
    echo = os_management.EchoWriteRequest.loads(request)
    return bytes(os_management.EchoWriteResponse(sequence=head.sequence, r=echo.d))


def started() -> Generator[None, bytes, bytes]:
    """smp's decoder, ready for a first line."""
    decoder = packet.decode()
    next(decoder)
    return decoder


def main() -> None:
    """Serve until the process is ended."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    print(os.ttyname(slave), flush=True)
    held, decoder = b"", started()
    while True:
        held += os.read(master, 4096)
        while b"\n" in held:
            line, _, held = held.partition(b"\n")
            try:
                decoder.send(line + b"\n")
            except StopIteration as whole:
                os.write(master, b"".join(packet.encode(answer(bytes(whole.value)))))
                decoder = started()


if __name__ == "__main__":
    main()
