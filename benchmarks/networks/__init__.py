"""Whole networks beside PyTorch's: training steps and inference, time and memory.

`python -m benchmarks.networks` measures; `cases` says what, `contenders` who, `turns` how, and
`results` what it comes to.
"""
