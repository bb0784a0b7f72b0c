"""Owning a pen, on the person's side: the keys of each pen, where they are kept, and how a pen is claimed.

Read in this order: `owned_pen` (what this computer holds for a pen), `store` (where it lies), `results` (how an attempt
to pair can end), `pairing` (how a pen is claimed).
"""
