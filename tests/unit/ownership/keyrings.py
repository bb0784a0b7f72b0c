"""Keyrings in memory, with the manners of real ones."""

from typing import Any

from keyring.backend import KeyringBackend
from keyring.backends.SecretService import Keyring as SecretService
from keyring.errors import KeyringLocked, NoKeyringError, PasswordDeleteError

from dermalink.ownership.owned_pen import OwnedPen


class Desktop(SecretService):
    """As a Linux desktop's, unlocked; what it holds is in `held`."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.calls: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.calls.append("get")
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.calls.append("set")
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        self.calls.append("delete")
        if self.held.pop((service, username), None) is None:
            raise PasswordDeleteError("not there")


# The module that a backend comes from is how it is known.
Desktop.__module__ = SecretService.__module__


class Locked(Desktop):
    """The person did not let it be unlocked."""

    def get_password(self, service: str, username: str) -> str | None:
        raise KeyringLocked("Failed to unlock the collection!")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise KeyringLocked("Failed to unlock the collection!")


Locked.__module__ = SecretService.__module__


class Deaf(Desktop):
    """It takes everything and keeps nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        del service, username, password


Deaf.__module__ = SecretService.__module__


class Gone(Desktop):
    """Its bus ends in the middle of a call, with an error of the bus's library."""

    def get_password(self, service: str, username: str) -> str | None:
        raise OSError("the bus is gone")

    set_password: Any = get_password


Gone.__module__ = SecretService.__module__


class PlainText(KeyringBackend):
    """As `keyrings.alt` brings: a plain file, said to be the best there is."""

    priority: Any = 99

    def __init__(self) -> None:
        self.calls = 0

    def get_password(self, service: str, username: str) -> str | None:
        raise AssertionError("it was asked")

    def set_password(self, service: str, username: str, password: str) -> None:
        raise AssertionError("it was given a key")

    def delete_password(self, service: str, username: str) -> None:
        raise NoKeyringError


PlainText.__module__ = "keyrings.alt.file"


def a_pen(serial_number: str = "DL-00000007", filled: int = 1, paired_s: int = 1_800_000_000) -> OwnedPen:
    """Keys that could be."""
    keys = [bytes([filled + number, *range(31)]) for number in range(3)]
    return OwnedPen(serial_number, keys[0], keys[1], keys[2], paired_s)
