"""What other tools say about upgrades whose right answer is known, beside what the audit says.

``python -m tests.benchmarks.peers`` installs each into an environment of its own, asks it in a process of its own, and
writes docs/peers.md.
"""
