"""The sealed channel: a handshake between known keys, then records that nobody else can make, read, alter or repeat.

What a firmware team reads, in this order: `keys` (which keys are refused), `handshake` (two messages of 48 bytes),
`records` (20 bytes around each message), `window` (two integers a channel). `aead` and `noise_kk` are the two doors
to libraries. tests/vectors/sealing.jsonl holds all of it, good and bad, for any language.

Nothing here draws chance, knows the time, or sends: keys come in, and bytes go out. It stands on the requirements
SR-SEC-1 (fresh keys a connection, counters under seal, nothing believed before) and SR-OWN-1; the part of SR-CMD-1
that is its own is that no record is taken twice. Whose keys they are, pairing decides.
"""
