"""Pre-training from plain text: `bert_mlm`, `advbert` and `charbert` from one pipeline.

The way of the text: `corpus` reads chunks of lines, `noise` attacks them and says which pieces stand for noised words,
`masking` hides whole words, `blocks` packs what remains to be learnt, `run` trains on it with `trainer`.
"""
