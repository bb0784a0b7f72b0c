"""Pairing by the code that came with the pen: pure arithmetic, for host and pen alike; no message, no clock, no chance.

Empty on purpose: whoever reads a code need not load the elliptic curve. Read in this order: `setup_code` (what is
printed for a pen), `registration` (what each side keeps of it), `spake2plus` (both come to a shared key, and nobody
learns the code), `owner_keys` (the shared key becomes a pair of static keys), `steps` (what each message carries, and
what the run is bound to), `errors` (what each can refuse).

The five values that cross, in this order, each at most 160 bytes:

| from | bytes | what |
| --- | --- | --- |
| pen | 16 to 32, 4 | salt and iterations (`registration.Derivation`), with its serial number |
| host | 16, 65 | the host's id, shareP |
| pen | 65, 32 | shareV, confirmV |
| host | 32, 48 | confirmP, the host's static key, sealed |
| pen | 48 | the pen's static key, sealed |

What this room can't hold, and whoever joins it to messages must: the press, the window of 60 s, the count of tries and
its doubling wait (SR-SEC-2). One rule of the count belongs to the arithmetic: **an answer is a try**. A stranger who
is sent confirmV can compare it with that of the code he guessed and go away without a confirmP. So the pen writes down
a wrong try before it sends an answer, and takes it back once confirmP is right; a share that is refused counts as well.
"""
