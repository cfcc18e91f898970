"""The generator of mini: eight small data sets, from our own grammar, word lists and facts.

`words/` holds the word lists, `templates/` the sentences, `world.py` the facts; `files.py` makes the files of them.
The same bytes come out on every machine: see `draw.py`. `python -m tools.mini` writes what the package ships.
"""
