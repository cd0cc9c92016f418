"""One module a figure: ``compute()`` → data, ``draw(data)`` → Figure. ``python -m paper_figures`` makes all."""
