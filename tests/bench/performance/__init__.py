"""How cost grows with the work, and whether the targets are met: `make performance`, ours alone.

Each part measures one thing and records it as JSON under `docs/performance`; the page and its plots are made of these
files alone (`make plots`).
"""
