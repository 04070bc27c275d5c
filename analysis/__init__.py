"""Rebuild the results of "AI and Memory Wall" (Gholami et al., IEEE Micro 2024).

Four rooms, imported one way only: published <- predicted <- measured <- compared.
"""
