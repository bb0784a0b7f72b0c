"""One prover for all tests of a process: what it has worked out for the table as it is serves every question."""

from functools import cache

from tests.proof.mutants import Judge
from tests.proof.prove import Prover


@cache
def prover() -> Prover:
    """The prover of all claims."""
    return Prover()


@cache
def judge() -> Judge:
    """The judge of mutants."""
    return Judge(prover())
