"""Faults after which a bridge could look alive and do nothing: each is done for real, and judged by what it shows.

`zombie` is the table of them: what shows each, and how soon. `fault` does them, `haunt` runs all at once and holds what
was seen against the table, and `page` writes both into `docs/health.md`.
"""
