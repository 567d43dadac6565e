"""Seeing the corpora: funnels, distributions, samples, data cards, and the way back from a token to its document.

Everything is read off what is in the store. `corpora` knows where that is, `build` makes what is missing, `funnel`,
`distributions`, `sample`, `card` and `trace` answer one question each as plain JSON, `text` makes what documents hold
fit to be shown, `terminal` prints. Importing this module loads no library.
"""
