"""The recipe's stages that change weights or write completions: TRL and transformers, wrapped.

Every function takes a folder of weights and rows, writes a folder whose ``weights/`` transformers
loads, and returns figures. None of them knows of runs.
"""
