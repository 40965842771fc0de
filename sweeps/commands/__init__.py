"""The commands of `starling`, one a file: the file's name is the command's (`lr_range.py` is `lr-range`).

Each has `ABOUT`, a line of help; `options(parser)`, which adds its arguments; and `run(arguments)`, which
returns the exit code. All are imported whenever `starling` starts, so that what takes long to import is
imported in `run`.
"""
