"""A status message, packed and read: against bare `struct`, protobuf (upb) and smp's typed message."""

import struct
from collections.abc import Iterator
from typing import Any

from dermalink_protocol.codewords import Reason, State
from dermalink_protocol.messages.identity import Status, StatusFlag
from dermalink_protocol.wire import Wire
from tests.benchmarks.measure import Missing, Row, row


def a_status() -> Status:
    """A status as a pen sends it in the middle of a pass."""
    return Status(
        tick_ms=123_456,
        state=State.RUNNING,
        reason=Reason.NONE,
        flags=StatusFlag.ARMED | StatusFlag.CONTACT | StatusFlag.CARTRIDGE | StatusFlag.SESSION_OPEN,
        session_id=0xC0FFEE,
        zone=5,
        direction=1,
        depth_um=250,
        rate_hz=100,
        peak_depth_um=231,
        force_mn=640,
        punctures=4_812,
        punctures_left=7_188,
        resumes_left=5,
        lease_left_ms=412,
        session_left_s=3_391,
        wait_s=0,
        utc_s=1_790_000_000,
        battery_percent=87,
        overruns=0,
    )


def rows() -> Iterator[Row]:
    """Encode and decode against each peer that is here."""
    status = a_status()
    packed, values = status.encode(), tuple(int(value) for value in status)
    codes = "".join(field.wire.code for field in Status.fields if isinstance(field.wire, Wire))
    bare = struct.Struct("<" + codes)
    yield row("status decode", lambda: Status.decode(packed), "struct", lambda: bare.unpack(packed), "≤ 1.5")
    yield row("status encode", status.encode, "struct", lambda: bare.pack(*values), "≤ 1.5")
    lacking = []
    for peer in (against_protobuf, against_smp):
        try:
            yield from peer(status, packed)
        except ImportError as missing:
            lacking.append(str(missing))
    if lacking:
        raise Missing(f"{'; '.join(lacking)} (the extra `bench` has it)")


def against_protobuf(status: Status, packed: bytes) -> Iterator[Row]:
    """The same fields in the same order."""
    theirs = protobuf_status(status)
    theirs_packed = theirs.SerializeToString()
    kind = type(theirs)
    yield row(
        "status decode", lambda: Status.decode(packed), "protobuf (upb)", lambda: kind.FromString(theirs_packed), "< 1"
    )
    yield row("status encode", status.encode, "protobuf (upb)", theirs.SerializeToString, "< 1")


def protobuf_status(status: Status) -> Any:
    """The same fields as a protobuf message, declared at run time, so that no compiler is needed."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(name="status.proto", package="bench", syntax="proto3")
    message = file.message_type.add(name="Status")
    for number, field in enumerate(status.fields, 1):
        message.field.add(
            name=field.name,
            number=number,
            type=descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
            label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Status"))
    return kind(**{name: int(value) for name, value in status.as_dict().items()})


def against_smp(status: Status, packed: bytes) -> Iterator[Row]:
    """smp has no message of this size and kind: its echo, with as many bytes as ours has, stands in."""
    from smp.os_management import EchoWriteRequest

    text = "x" * len(packed)
    theirs = bytes(EchoWriteRequest(d=text))
    yield row("status decode", lambda: Status.decode(packed), "smp", lambda: EchoWriteRequest.loads(theirs), "< 1")
    yield row("status encode", status.encode, "smp", lambda: bytes(EchoWriteRequest(d=text)), "< 1")
