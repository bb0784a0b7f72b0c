"""The host's sealed channel (SR-SEC-1): what goes to a pen that this computer owns, and what is believed of it.

Read in this order: `sealable_link` (what is sealed, opened and dropped), `opening` (how a connection gets there).
"""
